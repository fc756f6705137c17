//! The rules: each finds one kind of mistake and reports every place of it.
