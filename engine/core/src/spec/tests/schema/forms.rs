//! The forms of values as JSON Schema has them. Where it cannot say all that the language does, it takes more.

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::spec::decode::{Any, Command, Keyed, Many, Nullable, Spanned, TextOr};
use crate::spec::restart::Ending;
use crate::spec::values::{Bytes, Cpus, Factor, Mode, Period, Share, Signal, Size, Text, Umask, Whole};

/// Defines the schemas of values: a name for those that are referred to, and none for those that are written in place.
macro_rules! define_values {
    ($($name:ident => $schema:tt;)*) => {$(
        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).to_ascii_lowercase().into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

define_values! {
    Text => { "description": "Text.", "type": ["string", "number", "boolean"] };

    Bytes => { "description": "Text.", "type": ["string", "number", "boolean"] };

    Period => {
        "description": "A span of time: 250ms, 3s, 2m, 1h30m.",
        "type": "string",
        "pattern": "^(?=.)([0-9.]+d)?([0-9.]+h)?([0-9.]+m)?([0-9.]+s)?([0-9.]+ms)?([0-9.]+us)?([0-9]+ns)?$",
        "examples": ["250ms", "3s", "2m", "1h30m"]
    };

    Size => {
        "description": "A number of bytes: 512, 64KiB, 10MB.",
        "type": ["string", "integer"],
        "minimum": 0,
        "pattern": "^[0-9]+(\\.[0-9]+)? *(B|[kKMGT]B|[KMGTP]iB)?$",
        "examples": ["64KiB", "10MB"]
    };

    Signal => {
        "description": "A signal by its name or its number.",
        "anyOf": [
            { "enum": ["TERM", "INT", "HUP", "QUIT", "KILL", "USR1", "USR2", "CONT", "STOP", "WINCH", "PIPE"] },
            { "type": "string", "pattern": "^([Ss][Ii][Gg])?[A-Za-z]+[12]?$|^[0-9]+$" },
            { "type": "integer", "minimum": 1, "maximum": 64 }
        ]
    };

    Share => {
        "description": "A number of CPUs, or a share of one: 0.5, 2, 50%.",
        "type": ["string", "number"],
        "minimum": 0,
        "pattern": "^[0-9.]+%?$",
        "examples": [0.5, 2, "50%"]
    };

    Cpus => {
        "description": "The number of a CPU, or a range of them: 3, 0-3.",
        "type": ["string", "integer"],
        "minimum": 0,
        "pattern": "^[0-9]+(-[0-9]+)?$",
        "examples": [0, "0-3"]
    };

    Umask => {
        "description": "A file mode mask in octal: 022.",
        "type": ["string", "integer"],
        "minimum": 0,
        "maximum": 777,
        "pattern": "^(0o)?[0-7]+$",
        "examples": ["022", "077"]
    };

    Mode => {
        "description": "The mode of a file in octal: 0660.",
        "type": ["string", "integer"],
        "minimum": 0,
        "maximum": 777,
        "pattern": "^(0o)?[0-7]+$",
        "examples": ["0600", "0666"]
    };

    Factor => { "description": "A number of at least one.", "type": "number", "minimum": 1, "maximum": 1000 };
}

/// Defines the schemas of forms that are written where they are used.
macro_rules! define_forms {
    ($([$($parameters:tt)*] $name:ty, $generator:ident => $schema:expr;)*) => {$(
        impl<$($parameters)*> JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                "form".into()
            }

            fn schema_id() -> Cow<'static, str> {
                std::any::type_name::<Self>().into()
            }

            fn inline_schema() -> bool {
                true
            }

            fn json_schema($generator: &mut SchemaGenerator) -> Schema {
                $schema
            }
        }
    )*};
}

define_forms! {
    [] Ending, _generator => json_schema!({
        "description": "An exit code, or a signal by its name.",
        "anyOf": [{ "type": "integer", "minimum": 0, "maximum": 255 }, { "type": "string", "pattern": "^[A-Za-z]+[0-9]*$" }],
    });

    [const MIN: i64, const MAX: i64] Whole<MIN, MAX>, _generator =>
        json_schema!({ "type": "integer", "minimum": MIN, "maximum": MAX });

    [T: JsonSchema] Spanned<T>, generator => generator.subschema_for::<T>();

    [T: JsonSchema] Many<T>, generator => {
        let one = generator.subschema_for::<T>();
        json_schema!({ "anyOf": [one, { "type": "array", "items": one }] })
    };

    [T: JsonSchema] Keyed<T>, generator => {
        let value = generator.subschema_for::<T>();
        json_schema!({ "type": "object", "additionalProperties": value })
    };

    [T: JsonSchema] Nullable<T>, generator => {
        let value = generator.subschema_for::<T>();
        // `const`, since what says `type` is what schemars adds to everything that may be left out.
        json_schema!({ "anyOf": [value, { "const": null }] })
    };

    [T: JsonSchema] TextOr<T>, generator => {
        let (text, other) = (generator.subschema_for::<Text>(), generator.subschema_for::<T>());
        json_schema!({ "anyOf": [text, other] })
    };

    [] Command, generator => {
        let text = generator.subschema_for::<Text>();
        json_schema!({ "anyOf": [text, { "type": "array", "items": text }] })
    };

    [] Any, _generator => json_schema!(true);
}
