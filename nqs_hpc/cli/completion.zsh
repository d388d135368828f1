_nqs_hpc_reply() { # how many of the words make up the command
  emulate -L zsh
  local cur=${words[CURRENT]} prev="" first="" candidate
  local -a all open closed
  if (( CURRENT > $1 + 1 )); then
    prev=${words[CURRENT-1]} first=${words[$1+1]}
  fi
  all=("${(@f)$(_nqs_hpc_candidates "$cur" "$prev" "$first" "${(@)words[$1+1,CURRENT-1]}" "${(@)words[CURRENT+1,-1]}")}")
  for candidate in $all; do
    if [[ $candidate == *[=./] ]]; then open+=("$candidate"); else closed+=("$candidate"); fi
  done
  (( $#open )) && compadd -S '' -a open
  (( $#closed )) && compadd -a closed
  (( $#open + $#closed ))
}

_nqs_hpc() { _nqs_hpc_reply 1; }

# python -m nqs_hpc, also behind mpiexec and srun; other words are completed as they were before.
_nqs_hpc_behind() {
  local i name=${words[1]:t}
  for (( i = 2; i < CURRENT; i++ )); do
    if [[ ${words[i]:t} == nqs-hpc || (${words[i]} == nqs_hpc && ${words[i-1]} == -m) ]]; then
      _nqs_hpc_reply $i
      return
    fi
  done
  local former=${_nqs_hpc_former[$name]:-_default}
  (( $+functions[$former] )) || autoload -Uz $former
  $former "$@"
}

typeset -gA _nqs_hpc_former
if (( $+functions[compdef] )); then
  for _nqs_hpc_name in python python3 mpiexec mpirun srun; do
    if [[ ${_comps[$_nqs_hpc_name]:-_nqs_hpc_behind} != _nqs_hpc_behind ]]; then
      _nqs_hpc_former[$_nqs_hpc_name]=${_comps[$_nqs_hpc_name]}
    fi
  done
  unset _nqs_hpc_name
  compdef _nqs_hpc nqs-hpc
  compdef _nqs_hpc_behind python python3 mpiexec mpirun srun
fi
