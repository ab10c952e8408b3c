//! The list of a Python wheel's files, `RECORD`: their digests and lengths, which the files tell (PEP 376, PEP 427).

use std::collections::HashMap;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};

use super::find;
use super::zip::{Extent, LOCAL, MAX_MEMBERS, members};
use crate::content::budget::max_plain;

/// The name that such a list's zip header ends with.
const NAME: &[u8] = b".dist-info/RECORD";

/// Whether a zip header that `before` ends with is one of such a list.
pub fn is_record(before: &[u8]) -> bool {
    before.ends_with(NAME)
}

/// `record` with the names only of the files that the archive has `before` it, if it comes back from them.
pub fn take(before: &[u8], record: &[u8]) -> Option<Vec<u8>> {
    let members = members_of(before);
    let mut names = Vec::new();
    for line in record.split_inclusive(|&byte| byte == b'\n') {
        let known =
            line.iter().position(|&byte| byte == b',').and_then(|end| Some((&line[..end], members.get(&line[..end])?)));
        match known.and_then(|(name, told)| Some((name, line[name.len()..].strip_prefix(told.as_bytes())?))) {
            Some((name, rest)) => names.extend([name, rest].concat()),
            None => names.extend(line),
        }
    }
    let comes_back = put_members(&members, &names, record.len())? == record;
    (names.len() < record.len() && comes_back).then_some(names)
}

/// The list that these `names` stand for. None if it is longer than `limit`.
pub fn put(before: &[u8], names: &[u8], limit: usize) -> Option<Vec<u8>> {
    put_members(&members_of(before), names, limit)
}

/// What lines of the list say of the members of the zip archive in `before`, by name.
fn members_of(before: &[u8]) -> HashMap<&[u8], String> {
    let Some(start) = find(before, 0, LOCAL) else { return HashMap::new() };
    let members = members(before, Extent { start, members: MAX_MEMBERS }, max_plain(before.len()));
    let told = members.iter().filter_map(|member| {
        let mut digest = Sha256::new();
        member.read_plain(before, |part| digest.update(part))?;
        let digest = URL_SAFE_NO_PAD.encode(digest.finalize());
        Some((member.name(before), format!(",sha256={digest},{}", member.plain_len())))
    });
    told.collect()
}

fn put_members(members: &HashMap<&[u8], String>, names: &[u8], limit: usize) -> Option<Vec<u8>> {
    let mut record = Vec::new();
    for line in names.split_inclusive(|&byte| byte == b'\n') {
        let name = line.trim_ascii_end();
        record.extend(name);
        record.extend(members.get(name).into_iter().flat_map(|told| told.bytes()));
        record.extend(&line[name.len()..]);
        if record.len() > limit {
            return None;
        }
    }
    Some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_left_out() {
        let wheel = include_bytes!("../../../tests/samples/package.whl");
        let at = memchr::memmem::find(wheel, NAME).unwrap() + NAME.len();
        let before = &wheel[..at];
        assert!(is_record(before));
        let mut record = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::DeflateDecoder::new(&wheel[at..]), &mut record).unwrap();
        let names = take(before, &record).unwrap();
        let expected = "package/__init__.py\npackage/read.py\npackage/write.py\npackage/LICENSE\npackage-1.0.dist-info/WHEEL\n\
            package-1.0.dist-info/RECORD,,\n";
        assert_eq!(String::from_utf8(names.clone()).unwrap(), expected);
        assert_eq!(put(before, &names, record.len()).unwrap(), record);
        assert_eq!(put(before, &names, record.len() - 1), None);
        // Other digests stay; a line that is a name already can't be told from one without them.
        let other = [&record[..], b"package/other.py,sha256=x,1\n"].concat();
        assert_eq!(take(before, &other).unwrap(), [&names[..], b"package/other.py,sha256=x,1\n"].concat());
        assert_eq!(take(before, &[&record[..], b"package/read.py\n"].concat()), None);
        assert_eq!(take(&[], &record), None);
    }
}
