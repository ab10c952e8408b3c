//! Tar: the check sums of headers.

use super::Fields;
use crate::content::tar::{BLOCK, SUM, size, sum};

/// Changes the check sums of all headers up to the first block that is none.
pub fn walk(fields: &mut Fields<'_>) {
    let mut at = 0;
    while let Some(header) = fields.bytes.get(at..at + BLOCK) {
        let Some(size) = size(header) else {
            if header.iter().any(|&byte| byte != 0) {
                break;
            }
            at += BLOCK;
            continue;
        };
        let told = format!("{:06o}\0 ", sum(header));
        fields.same(at + SUM.start, &told.as_bytes()[..SUM.len()]);
        let Some(next) = (at + BLOCK).checked_add(size).and_then(|end| end.checked_next_multiple_of(BLOCK)) else {
            break;
        };
        at = next;
    }
}
