//! Codes streams of JPEGs, whose coefficients have a model of their own.

use super::bits::BitCoder;
use super::block_coder::{PROGRESS_STEP, Progress};
use super::coefficients::{self, Coder};
use crate::error::{Error, ErrorKind};

/// Codes `len` bytes of JPEGs, of which at most `most` coefficients are kept: `data`, or what a decoder reads. Returns them with the
/// coder.
///
/// # Errors
/// [`ErrorKind::Corrupt`] if a decoder reads what is no JPEG, [`ErrorKind::Truncated`] if the coded data ends early,
/// [`ErrorKind::Interrupted`] if `progress` returns false.
pub fn code<C: BitCoder + Coder>(
    mut coder: C,
    data: Option<&[u8]>,
    (len, most): (usize, u32),
    progress: &mut Progress,
) -> Result<(Vec<u8>, C), Error> {
    let mut next_progress = 0;
    let mut report = |coder: &C, done: usize| {
        if coder.cut_short() {
            return Err(Error::new(ErrorKind::Truncated, format!("coded data ends after {done} bytes of content")));
        }
        if done >= next_progress {
            next_progress = done + PROGRESS_STEP;
            if !progress(done, coder.position()) {
                return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
            }
        }
        Ok(())
    };
    let bytes = coefficients::code(&mut coder, data, (len, most), &mut report)?;
    Ok((bytes, coder))
}
