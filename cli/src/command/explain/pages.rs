//! The pages of docs/diagnostics, compiled into the binary: what it explains is what its own version finds.

use forkyard_core::diagnostic::Code;

macro_rules! pages {
    ($($number:literal)*) => {
        /// The digits of each code with its page.
        const PAGES: &[(&str, &str)] = &[
            $(($number, include_str!(concat!("../../../../docs/diagnostics/FY", $number, ".md")))),*
        ];
    };
}

// Each code of the catalogue, in its order; a test says which one is missing.
pages! {
    "001" "002" "003" "004" "005" "006" "007" "008" "009"
    "010" "011" "012" "013"
    "101" "102" "103" "104" "105" "106" "107" "108" "109"
    "110" "111" "112" "113" "114" "115" "116" "117" "118" "119"
    "120"
    "130" "131" "132" "133"
    "140" "141" "142"
    "201" "202" "203" "204" "205" "206" "207"
    "210" "211" "212" "213" "214" "215" "216" "217"
    "220" "221" "222" "223" "224" "225"
    "230" "231" "232" "233" "234" "235"
    "240" "241" "242" "243"
    "250" "251" "252"
    "260" "261" "262" "263"
    "270" "271" "272" "273" "274" "275" "276" "277"
    "280" "281" "282" "283" "284" "285" "286" "287" "288" "289" "290"
    "300" "301" "302" "303" "304" "305" "306" "307" "308" "309"
    "310" "311"
    "330"
}

/// The page of a code; empty for a code that does not exist.
pub fn of(code: Code) -> &'static str {
    let digits = format!("{:03}", code.0);
    let found = PAGES.binary_search_by_key(&digits.as_str(), |(digits, _)| digits);
    found.map_or("", |index| PAGES[index].1)
}

#[cfg(test)]
mod tests {
    use super::*;
    use forkyard_core::diagnostic::catalogue;

    #[test]
    fn every_code_has_its_page() {
        let codes: Vec<String> = catalogue().iter().map(|rule| format!("{:03}", rule.code.0)).collect();
        let pages: Vec<&str> = PAGES.iter().map(|(digits, _)| *digits).collect();
        assert_eq!(pages, codes);
        for rule in catalogue() {
            assert!(of(rule.code).starts_with(&format!("# {}: ", rule.code)));
        }
        assert_eq!(of(Code(999)), "");
    }
}
