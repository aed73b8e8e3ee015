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
    # The quotes that are open at the cursor. Inside a command or a text with escapes of its own that is not certain.
    local line=${COMP_LINE:0:COMP_POINT} quote=
    for ((i = 0; i < ${#line}; i++)); do
        case $quote${line:i:1} in
            \\ | \"\\) ((i++)) ;;
            \' | \") quote=${line:i:1} ;;
            \'\' | \"\") quote= ;;
        esac
    done
    case $line in *'`'* | *'$('* | *"$'"*) quote=unsure ;; esac
    # As typed, without quotes.
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
        # As data where it is put; a name that cannot be that there is not offered.
        case $word in
            *[!A-Za-z0-9_@%+=:,./~-]*)
                case $quote in
                    unsure) continue ;;
                    \') [[ $word == *\'* ]] && continue ;;
                    \")
                        [[ $word == *!* ]] && continue
                        for i in \\ \$ \` \"; do word=${word//"$i"/"\\$i"}; done
                        ;;
                    *) printf -v word %q "$word" ;;
                esac
                ;;
        esac
        COMPREPLY+=("$word")
    done < <(VARIABLE=bash _CLAP_COMPLETE_INDEX=$((${#words[@]} - 1)) PROGRAM -- "${words[@]}" 2>/dev/null)
    if ((${#COMPREPLY[@]} == 1)) && [[ ${COMPREPLY[0]} == *[=/] ]]; then
        compopt -o nospace 2>/dev/null
    fi
}
complete -o bashdefault -o nosort -F _PROGRAM_complete PROGRAM 2>/dev/null ||
    complete -o bashdefault -F _PROGRAM_complete PROGRAM
