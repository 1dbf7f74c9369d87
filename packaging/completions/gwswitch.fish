# Completion of gwswitch for fish. What is offered is gwswitch's own answer, so this file says nothing of its commands.
function __gwswitch_complete
    set -l words (commandline -opc)
    set -l current "$(commandline -ct)"
    set -l lines (gwswitch __complete fish $words[2..-1] "$current" 2>/dev/null)
    switch "$lines[1]"
        case files
            __fish_complete_path $current
        case directories
            __fish_complete_directories $current
        case '*'
            printf '%s\n' $lines[2..-1]
    end
end
complete -c gwswitch -f -a '(__gwswitch_complete)'
