_PROGRAM_complete() {
    # Bash splits at colons and equals signs, which names have in them: such pieces are put together again.
    local words=() rest=$COMP_LINE word prefix= i
    for ((i = 0; i <= COMP_CWORD; i++)); do
        word=${COMP_WORDS[i]}
        if ((i == COMP_CWORD)); then word=$2; fi
        if ((i > 0)) && [[ $rest != [[:blank:]]* ]]; then
            prefix=${words[${#words[@]} - 1]}
            words[${#words[@]} - 1]=$prefix$word
        else
            prefix=
            words+=("$word")
        fi
        rest=${rest#"${rest%%[![:blank:]]*}"}
        rest=${rest#"${COMP_WORDS[i]}"}
    done
    # As typed, without quotes.
    local quote=${COMP_WORDS[COMP_CWORD]:0:1}
    prefix=${prefix//\\/}
    for ((i = 0; i < ${#words[@]}; i++)); do
        word=${words[i]//\\/}
        case $word in [\"\']*) word=${word:1} ;; esac
        case $word in *[\"\']) word=${word%?} ;; esac
        words[i]=$word
    done
    COMPREPLY=()
    while IFS= read -r word; do
        word=${word#"$prefix"}
        case $quote in
            [\"\']) ;;
            *) case $word in *[!A-Za-z0-9_@%+=:,./~-]*) printf -v word %q "$word" ;; esac ;;
        esac
        COMPREPLY+=("$word")
    done < <(VARIABLE=bash _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) PROGRAM -- "${words[@]}" 2>/dev/null)
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o nosort -F _PROGRAM_complete PROGRAM 2>/dev/null ||
    complete -o bashdefault -F _PROGRAM_complete PROGRAM
