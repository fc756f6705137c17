# Says hello to one name.

greet() {
    echo "$(ask GREETING hello), $1"
}
