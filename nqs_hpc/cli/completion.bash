# Bash cuts words at = and : (COMP_WORDBREAKS); here they are put together again, and what is answered is cut likewise.
_nqs_hpc_reply() { # how many words of COMP_WORDS make up the command
  local i token word cur="" prev="" first="" cut=0 at=-1
  local -a whole=() others=()
  for ((i = $1; i < ${#COMP_WORDS[@]}; i++)); do
    token=${COMP_WORDS[i]}
    if [[ ${#whole[@]} -gt 0 && -n $token && $at != $((${#whole[@]} - 1)) && ($token == [=:]* || ${whole[-1]} == *[=:]) ]]; then
      cut=${#whole[-1]}
      whole[-1]+=$token
    else
      cut=0
      whole+=("$token")
    fi
    if ((i == COMP_CWORD)); then
      at=$((${#whole[@]} - 1))
      cur=${whole[at]}
      [[ $token == [=:] ]] && cut=${#cur}
      break
    fi
  done
  ((at > 0)) && prev=${whole[at - 1]} first=${whole[0]}
  others=("${whole[@]:0:at}" "${COMP_WORDS[@]:COMP_CWORD+1}")
  COMPREPLY=()
  while IFS= read -r word; do
    if [[ $word == "$cur"* ]]; then
      word=${word:cut}
      [[ $word == *[[:space:]]* ]] && printf -v word %q "$word"
      COMPREPLY+=("$word")
    fi
  done < <(_nqs_hpc_candidates "$cur" "$prev" "$first" "${others[@]}")
  if [[ ${#COMPREPLY[@]} -eq 1 && ${COMPREPLY[0]} == *[=./] ]]; then
    compopt -o nospace 2>/dev/null
  fi
  return 0
}

_nqs_hpc() { _nqs_hpc_reply 1; }

# python -m nqs_hpc, also behind mpiexec and srun, as nqs-hpc is there; other words are completed as they were before.
_nqs_hpc_behind() {
  local i
  for ((i = 1; i < COMP_CWORD; i++)); do
    if [[ ${COMP_WORDS[i]##*/} == nqs-hpc || (${COMP_WORDS[i]} == nqs_hpc && ${COMP_WORDS[i - 1]} == -m) ]]; then
      _nqs_hpc_reply $((i + 1))
      return
    fi
  done
  local name=${COMP_WORDS[0]##*/} former
  former=${_nqs_hpc_former[$name]-}
  if [[ -z $former ]]; then
    if declare -F _comp_load >/dev/null; then
      _comp_load -- "$name" 2>/dev/null
    elif declare -F __load_completion >/dev/null; then
      __load_completion "$name" 2>/dev/null
    fi
    former=$(complete -p "$name" 2>/dev/null)
    former=${former#* -F }
    former=${former%% *}
    [[ $former == _nqs_hpc_behind || $former == complete ]] && former=-
    _nqs_hpc_former[$name]=${former:--}
    complete -o bashdefault -o default -F _nqs_hpc_behind "$name"
  fi
  former=${_nqs_hpc_former[$name]}
  if [[ $former != - ]] && declare -F "$former" >/dev/null; then "$former" "$@"; fi
}

declare -A _nqs_hpc_former
for _nqs_hpc_name in python python3 mpiexec mpirun srun; do
  _nqs_hpc_spec=$(complete -p "$_nqs_hpc_name" 2>/dev/null)
  if [[ $_nqs_hpc_spec == *" -F "* && $_nqs_hpc_spec != *_nqs_hpc_behind* ]]; then
    _nqs_hpc_spec=${_nqs_hpc_spec#* -F }
    _nqs_hpc_former[$_nqs_hpc_name]=${_nqs_hpc_spec%% *}
  fi
done
unset _nqs_hpc_name _nqs_hpc_spec
complete -F _nqs_hpc nqs-hpc
complete -o bashdefault -o default -F _nqs_hpc_behind python python3 mpiexec mpirun srun
