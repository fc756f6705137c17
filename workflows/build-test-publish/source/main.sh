# The program: greets every name on the command line.

main() {
    if [ "${1:-}" = --version ]; then
        echo "1.0"
        return
    fi
    for name in "$@"; do
        greet "$name"
    done
    count "$@"
}

main "$@"
