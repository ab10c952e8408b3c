//! The filter of text whose lines all end in CR LF: it has no CRs then. Language models have seen LF far more often.

/// `content` without CRs; `None` if it has none, or any that no LF follows, or any LF without one.
pub fn without_returns(content: &[u8]) -> Option<Vec<u8>> {
    let mut last = 0;
    let mut returns = 0;
    for &byte in content {
        if (last == b'\r') != (byte == b'\n') {
            return None;
        }
        returns += usize::from(byte == b'\r');
        last = byte;
    }
    let is_filtered = returns > 0 && last != b'\r';
    is_filtered.then(|| content.iter().copied().filter(|&byte| byte != b'\r').collect())
}

/// Puts a CR before each LF.
pub fn add_returns(bytes: &mut Vec<u8>) {
    let mut from = bytes.len();
    bytes.resize(from + bytes.iter().filter(|&&byte| byte == b'\n').count(), 0);
    let mut to = bytes.len();
    while from < to {
        (from, to) = (from - 1, to - 1);
        bytes[to] = bytes[from];
        if bytes[to] == b'\n' {
            to -= 1;
            bytes[to] = b'\r';
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn only_text_in_which_all_lines_end_alike_is_changed() {
        for text in ["", "a", "a\n", "a\r", "a\r\nb\n", "a\r\nb\r", "\n\r", "\r\r\n", "a\r\n\n"] {
            assert_eq!(without_returns(text.as_bytes()), None, "{text:?}");
        }
        assert_eq!(without_returns(b"\r\n"), Some(b"\n".to_vec()));
        assert_eq!(without_returns(b"a\r\n\r\nb"), Some(b"a\n\nb".to_vec()));
    }

    proptest! {
        #[test]
        fn what_is_changed_comes_back(text in "(a|\r\n|\r\n|b){0,30}", other in "[a\r\n]{0,8}") {
            for text in [text.clone(), other.clone(), text + &other] {
                if let Some(mut bytes) = without_returns(text.as_bytes()) {
                    prop_assert!(bytes.len() < text.len());
                    add_returns(&mut bytes);
                    prop_assert_eq!(bytes, text.as_bytes());
                } else if text.contains("\r\n") {
                    prop_assert!(text.replace("\r\n", "").contains(['\r', '\n']));
                }
            }
        }
    }
}
