/**
 * What each shell is told: at a Tab it hands the words up to the cursor to `ixy-ts complete`, which prints the kind of completion
 * (complete.ts) and a line for each candidate, `word<tab>about`.
 */

/** A word that ends with one of these goes on, so that no blank is to follow. */
const OPEN = '[=:/,+]'

/** bash takes words apart at its COMP_WORDBREAKS, `:` and `=` among them: they are put together again, and what it has replaced by then is cut off. */
const BASH = `# bash completion for ixy-ts, made by: ixy-ts completion bash
_ixy_ts() {
  local rest=\${COMP_LINE:0:COMP_POINT} piece blanks kind prefix line word i
  local -a words=() lines=()
  for ((i = 0; i <= COMP_CWORD; i++)); do
    blanks=\${rest%%[![:blank:]]*}
    rest=\${rest#"$blanks"}
    piece=\${COMP_WORDS[i]:0:\${#rest}}
    rest=\${rest:\${#piece}}
    if [[ $i == 0 || -n $blanks ]]; then words+=("$piece"); else words[-1]+=$piece; fi
  done
  mapfile -t lines < <("\${words[0]/#\\~/$HOME}" complete -- "\${words[@]:1}" 2>/dev/null)
  kind=\${lines[0]}
  COMPREPLY=()
  case $kind in
    files) compopt -o default ;;
    folders) compopt -o dirnames ;;
  esac
  prefix=\${words[-1]%"$2"}
  for line in "\${lines[@]:1}"; do
    word=\${line%%$'\\t'*}
    word=\${word#"$prefix"}
    [[ $word == *[!A-Za-z0-9_.,:=/+@%-]* ]] && printf -v word %q "$word"
    COMPREPLY+=("$word")
  done
  if [[ $kind == parts || \${COMPREPLY[0]} == *${OPEN} ]]; then compopt -o nospace; fi
}
complete -F _ixy_ts ixy-ts
`

const ZSH = `#compdef ixy-ts
# zsh completion for ixy-ts, made by: ixy-ts completion zsh
_ixy_ts() {
  local -a lines words_done words_open shown_done shown_open
  local kind line word shown
  lines=("\${(@f)$(\${(Q)words[1]} complete -- "\${(@Q)words[2,CURRENT-1]}" "\${(Q)PREFIX}" 2>/dev/null)}")
  kind=$lines[1]
  case $kind in
    files) compset -P '--*='; _files; return ;;
    folders) compset -P '--*='; _files -/; return ;;
  esac
  for line in "\${(@)lines[2,-1]}"; do
    word=\${line%%$'\\t'*}
    shown=$word
    [[ $line == *$'\\t'?* ]] && shown="$word  -- \${line#*$'\\t'}"
    if [[ $kind == parts || $word == *${OPEN} ]]; then
      words_open+=("$word"); shown_open+=("$shown")
    else
      words_done+=("$word"); shown_done+=("$shown")
    fi
  done
  (( $#words_done )) && compadd -l -d shown_done -a words_done
  (( $#words_open )) && compadd -l -S '' -d shown_open -a words_open
  (( $#words_done + $#words_open ))
}
if [[ $funcstack[1] == _ixy_ts ]]; then _ixy_ts "$@"; else compdef _ixy_ts ixy-ts; fi
`

const FISH = `# fish completion for ixy-ts, made by: ixy-ts completion fish
function __ixy_ts_complete
    set -l words (commandline -opc)
    set -l current (commandline -ct)
    set -l lines (command $words[1] complete -- $words[2..-1] "$current" 2>/dev/null)
    switch "$lines[1]"
        case files folders
            set -l option (string match -r '^--[^=]+=' -- $current)
            set -l paths (__fish_complete_path (string sub -s (math (string length -- "$option") + 1) -- "$current"))
            test $lines[1] = folders; and set paths (string match -r '.*/(?:\\t.*)?$' -- $paths)
            printf '%s\\n' "$option"$paths
        case '*'
            printf '%s\\n' $lines[2..-1]
    end
end
complete -c ixy-ts -f -a '(__ixy_ts_complete)'
`

export const SCRIPTS: Readonly<Record<string, string>> = { bash: BASH, zsh: ZSH, fish: FISH }
