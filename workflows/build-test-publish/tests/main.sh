set -eu
cat "$1/ask.sh" "$1/greet.o" "$1/count.o" "$1/main.o" > "$1/whole.sh"
[ "$(sh "$1/whole.sh" --version)" = "1.0" ]
[ "$(sh "$1/whole.sh" a b)" = "hello, a
hello, b
2 names" ]
