# Completion for bash: source this file, or install it as bash-completion/completions/py-heap.

_py_heap()
{
    local word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
    local own="--pid --core --exe --sysroot --commands --help --version" at=1

    # Skip py-heap's own options, which stand before the command and each take a value.
    while [[ ${COMP_WORDS[at]} == @(--pid|--core|--exe|--sysroot|--commands|-x) ]] && ((at + 1 < COMP_CWORD)); do
        ((at += 2))
    done
    COMPREPLY=()
    if ((at == COMP_CWORD)) && [[ $word == -* ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$own" -- "$word")
    elif ((at + 1 == COMP_CWORD)) && [[ $previous == --pid ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$(pgrep python)" -- "$word")
    elif ((at + 1 == COMP_CWORD)) && [[ $previous == @(--core|--exe|--sysroot|--commands|-x) ]]; then
        mapfile -t COMPREPLY < <(compgen -f -- "$word")
    else
        mapfile -t COMPREPLY < <(
            "${COMP_WORDS[0]}" --complete -- "${COMP_WORDS[@]:at:COMP_CWORD-at+1}")
    fi
}
complete -o default -F _py_heap py-heap
