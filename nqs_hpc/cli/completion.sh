# What can stand in the place of the word under the cursor, for bash and zsh alike. The functions that say what exists
# (_nqs_hpc_choices, _nqs_hpc_keys, ...) are written by `completion` above this.

# The choice of PLACE on this line: PLACE=NAME, else that of the experiment, else the default one.
_nqs_hpc_chosen() {
  local place=$1 word found="" experiment=""
  shift
  if [ "$place" = hydra.launcher ]; then place=hydra/launcher; fi
  for word in "$@"; do
    case $word in
      "$place="*) found=${word#*=} ;;
      experiment=*) experiment=${word#*=} ;;
    esac
  done
  if [ -z "$found" ] && [ -n "$experiment" ]; then
    for word in $(_nqs_hpc_experiment "$experiment"); do
      case $word in "$place="*) found=${word#*=} ;; esac
    done
  fi
  if [ -z "$found" ]; then
    case $place in
      observables.*) found=${place#observables.} ;; # observables=[NAME, ...]: the labels are the names
      *) found=$(_nqs_hpc_default "$place") ;;
    esac
  fi
  printf '%s\n' "${found%%,*}"
}

# The name under which a key is known to the tables: GROUP.KEY, whatever it stands in.
_nqs_hpc_known() {
  local group=""
  case $1 in
    *.*) group=$(_nqs_hpc_group "${1%.*}") ;;
  esac
  if [ -n "$group" ]; then printf '%s\n' "$group.${1##*.}"; else printf '%s\n' "$1"; fi
}

# Files that begin like VALUE; of KIND run the folders of runs and sweeps, and what leads to them.
_nqs_hpc_files() {
  local value=$1 kind=$2 base file shown inner found="" plain=""
  base=$value
  case $value in "~/"*) base=$HOME/${value#??} ;; esac
  for file in "$base"*; do
    [ -e "$file" ] || continue
    shown=$value${file#"$base"}
    if [ ! -d "$file" ]; then
      case $kind,$file in
        file,* | run,*/checkpoints/step_*.h5) found=1 && printf '%s\n' "$shown" ;;
      esac
    elif [ "$kind" = file ]; then
      printf '%s\n' "$shown/"
    elif [ "$kind" = folder ]; then
      printf '%s\n' "$shown/"
    else
      if [ -e "$file/manifest.json" ] || [ -e "$file/config.yaml" ]; then
        found=1
        printf '%s\n' "$shown"
      fi
      for inner in "$file"/*/manifest.json "$file"/*/config.yaml; do
        if [ -e "$inner" ]; then
          found=1
          printf '%s\n' "$shown/"
          break
        fi
      done
      plain="$plain$shown/
"
    fi
  done
  [ -n "$found" ] || printf '%s' "$plain"
}

# The words that KEY=VALUE can go on with; lists are completed behind their last comma.
_nqs_hpc_values() {
  local key=${1%%=*} value=${1#*=} last head known word
  last=${value##*[[,]}
  head=$key=${value%"$last"}
  known=$(_nqs_hpc_known "$key")
  for word in $(_nqs_hpc_choices "$key") $(_nqs_hpc_words "$known"); do
    printf '%s\n' "$head$word"
  done
  known=$(_nqs_hpc_kind "$known")
  if [ -n "$known" ]; then
    _nqs_hpc_files "$last" "$known" | while IFS= read -r word; do printf '%s\n' "$head$word"; done
  fi
}

# Keys that begin like CUR, for the choices on the line; KEY. leads to those below.
_nqs_hpc_all() {
  local cur=$1 place group key
  shift
  case $cur in
    *=*) _nqs_hpc_values "$cur" ;;
    *.*)
      place=${cur%.*}
      group=$(_nqs_hpc_group "$place")
      if [ -z "$group" ]; then
        for key in $(_nqs_hpc_section "$place"); do printf '%s\n' "$place.$key="; done
        return
      fi
      for key in $(_nqs_hpc_keys "$group=$(_nqs_hpc_chosen "$place" "$@")"); do
        printf '%s\n' "$place.$key="
        if [ -n "$(_nqs_hpc_choices "$place.$key")" ]; then printf '%s\n' "$place.$key."; fi
      done
      ;;
    *) _nqs_hpc_top ;;
  esac
}

# What --help can be asked: groups, choices, sections, keys, commands.
_nqs_hpc_help() {
  local cur=$1 place group name word
  case $cur in
    *=*) _nqs_hpc_values "$cur" ;;
    *.*)
      place=${cur%.*}
      group=$(_nqs_hpc_group "$place")
      {
        for name in $(_nqs_hpc_choices "$place"); do _nqs_hpc_keys "$group=$name"; done
        _nqs_hpc_section "$place"
      } | while IFS= read -r word; do printf '%s\n' "$place.$word"; done | sort -u
      ;;
    *)
      _nqs_hpc_commands
      for word in $(_nqs_hpc_top); do
        case $word in
          *.) printf '%s\n' "${word%.}" "$word" ;;
          *=) if [ -n "$(_nqs_hpc_choices "${word%=}")" ]; then printf '%s\n' "$word"; else printf '%s\n' "${word%=}"; fi ;;
        esac
      done | sort -u
      ;;
  esac
}

# CUR, the word before it, the first word of all (empty where CUR is that), then every other word of the line.
_nqs_hpc_candidates() {
  local cur=$1 prev=$2 first=$3 word takes
  if [ -n "$ZSH_VERSION" ]; then emulate -L sh; fi
  shift 3
  for word in "$@"; do
    case $word in -h | --help) _nqs_hpc_help "$cur" && return ;; esac
  done
  takes=$(_nqs_hpc_takes "$first")
  if [ -n "$takes" ]; then
    case $prev in
      --plot) _nqs_hpc_files "$cur" file && return ;;
      --sort | --filter | --keep | --size-power | --min-size | --leave-out) return ;;
    esac
    _nqs_hpc_options "$first"
  fi
  case $takes in
    run | runs) _nqs_hpc_files "$cur" run ;;
    folder) _nqs_hpc_files "$cur" folder ;;
    option) ;;
    *)
      if [ -z "$first" ]; then _nqs_hpc_commands; fi
      if [ -z "$takes" ]; then printf '%s\n' -m --help --version; fi
      for word in "$@"; do
        case $word in -m | --multirun)
          printf '%s\n' hydra/launcher=
          case $cur in hydra*) ;; *) printf '%s\n' hydra.launcher. ;; esac ;;
        esac
      done
      _nqs_hpc_all "$cur" "$@"
      ;;
  esac
}
