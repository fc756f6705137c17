//! The codes of what can be wrong with a file and with its language.

use super::Code;

macro_rules! define_codes {
    ($($(#[$doc:meta])* $name:ident = $number:literal, $title:literal;)*) => {
        $($(#[$doc])* pub const $name: Code = Code($number);)*

        /// Each code with its title, in the order of the numbers.
        pub const TITLES: &[(Code, &str)] = &[$(($name, $title)),*];
    };
}

define_codes! {
    /// A file could not be read at all.
    UNREADABLE = 1, "a file cannot be read";
    /// The file, or what it expands to, is larger than any workflow needs to be.
    TOO_LARGE = 2, "a file is too large";
    /// The bytes are not UTF-8.
    NOT_UTF8 = 3, "a file is not UTF-8";
    /// NUL bytes and other characters that YAML does not allow.
    FORBIDDEN_CHARACTER = 4, "a character that YAML does not allow";
    /// Nothing is in the file.
    EMPTY = 5, "a file is empty";
    /// The file breaks a rule of YAML.
    NOT_YAML = 6, "a file is not YAML";
    /// Tabs cannot indent.
    TAB = 7, "a tab used as indentation";
    /// More than one document in a file.
    SEVERAL_DOCUMENTS = 8, "several documents in one file";
    /// Nested more deeply than any workflow needs to be.
    TOO_DEEP = 9, "nested too deeply";
    /// The same key twice in one map.
    DUPLICATE_KEY = 10, "a key occurs twice";
    /// A key that is no text.
    KEY_NOT_TEXT = 11, "a key that is no text";
    /// A YAML tag.
    TAG = 12, "a YAML tag";
    /// An alias that contains itself, too many aliases, or a merge of something that is no map.
    ALIAS = 13, "an alias or merge that cannot be followed";
    /// `forkyard` is missing, or asks for another version of the language.
    VERSION = 101, "the version of the language";
    /// A key that the language does not have.
    UNKNOWN_KEY = 102, "an unknown key";
    /// A value of another kind than is wanted, or outside its bounds.
    BAD_VALUE = 103, "a value that does not fit";
    /// Nothing where a value is needed.
    MISSING_VALUE = 104, "a key without its value";
    /// A key that cannot be left out.
    MISSING_KEY = 105, "a key is missing";
    /// A key that belongs to something else.
    MISPLACED_KEY = 106, "a key that has no place here";
    /// Keys that exclude each other.
    CONFLICT = 107, "keys that exclude each other";
    /// A name that is not allowed.
    BAD_NAME = 108, "a name that is not allowed";
    /// A name that is used twice.
    NAME_TWICE = 109, "a name is used twice";
    /// An expression that is not well formed.
    EXPRESSION_SYNTAX = 110, "an expression that is not well formed";
    /// An expression that mentions something undefined.
    UNDEFINED = 111, "an undefined name in an expression";
    /// An expression that cannot be evaluated.
    EXPRESSION_FAILED = 112, "an expression that cannot be evaluated";
    /// A param that nobody declares.
    UNKNOWN_PARAM = 113, "an unknown param";
    /// A param that is given a value of another type than its default.
    PARAM_TYPE = 114, "a param of the wrong type";
    /// A template that does not exist.
    UNKNOWN_TEMPLATE = 115, "an unknown template";
    /// A template's param that is missing.
    TEMPLATE_PARAM = 116, "a param of a template is missing";
    /// An include that cannot be followed.
    INCLUDE = 117, "an include that cannot be followed";
    /// A line of an `env_file`.
    ENV_FILE = 118, "an env_file that cannot be used";
    /// More instances than an engine can have.
    TOO_MANY_INSTANCES = 119, "too many processes";
    /// A stream that does not fit its direction.
    STREAM = 120, "a stream that leads nowhere";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_rise_and_so_are_unique() {
        assert!(TITLES.windows(2).all(|pair| pair[0].0 < pair[1].0));
    }
}
