# Counts its arguments in words.

count() {
    case $# in
        0) echo "nobody" ;;
        1) echo "one name" ;;
        *) echo "$# names" ;;
    esac
}
