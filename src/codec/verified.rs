//! Decodes a block that is being encoded, to prove that it comes back.

use super::block_coder::Progress;
use super::config::CodecConfig;
use super::mixing::LeftOut;
use super::profile::Profile;
use super::{check_complete, decode_with, encode_without};
use crate::coder::{Decoder, Encoder};
use crate::content::Kind;
use crate::error::{Error, ErrorKind};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::sync::mpsc::channel;
use std::thread;

/// The stack size of a main thread.
const STACK_SIZE: usize = 8 << 20;

/// Whether a block is decoded before it counts as encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verify {
    /// It is not.
    No,
    /// Once it is encoded, with the same threads.
    After,
    /// While it is encoded, with half of the threads. Takes the memory of two blocks.
    Along,
}

/// A block's content, its kind, and how it is coded.
#[derive(Clone, Copy)]
pub struct Block<'a> {
    pub config: &'a CodecConfig,
    pub content: Kind,
    pub profile: Profile,
    pub data: &'a [u8],
    /// The data as the filter has transformed it: what is coded.
    pub filtered: &'a [u8],
}

impl Block<'_> {
    /// The block's coded data; if it is verified, once it has been decoded to its data.
    ///
    /// # Errors
    /// As [`super::encode`]; [`ErrorKind::Internal`] if something else comes back.
    pub fn encode(&self, verify: Verify, threads: usize, progress: &mut Progress) -> Result<Vec<u8>, Error> {
        if verify == Verify::Along && threads > 1 {
            return self.decode_along(threads / 2, progress);
        }
        let coded = self.encode_to(Encoder::default(), threads, progress)?;
        if verify == Verify::No {
            return Ok(coded);
        }
        let done = self.data.len();
        let decoded = self.decode(Decoder::new(&coded), threads, &mut |_, _| progress(done, coded.len()));
        self.compare(decoded)?;
        Ok(coded)
    }

    fn decode_along(&self, threads: usize, progress: &mut Progress) -> Result<Vec<u8>, Error> {
        let (to, from) = channel();
        let stopped = AtomicBool::new(false);
        thread::scope(|scope| {
            let follow = || self.decode(Decoder::following(from), threads, &mut |_, _| !stopped.load(Relaxed));
            let follower = thread::Builder::new().name("nzip verify".into()).stack_size(STACK_SIZE);
            let follower = follower
                .spawn_scoped(scope, follow)
                .map_err(|error| Error::new(ErrorKind::Io, format!("no thread to verify with: {error}")))?;
            let payload = self.encode_to(Encoder::copying_to(to), threads, progress);
            stopped.store(payload.is_err(), Relaxed);
            let decoded = follower.join();
            let payload = payload?;
            self.compare(decoded.unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "the decoder panicked"))))?;
            Ok(payload)
        })
    }

    fn encode_to(&self, encoder: Encoder, threads: usize, progress: &mut Progress) -> Result<Vec<u8>, Error> {
        let Block { config, content, profile, filtered, .. } = *self;
        encode_without(config, (content, profile), filtered, LeftOut::Nothing, encoder, threads, progress)
    }

    fn decode(&self, decoder: Decoder, threads: usize, progress: &mut Progress) -> Result<Vec<u8>, Error> {
        let profile = Profile::from_byte(self.content, self.profile.to_byte());
        let (config, len) = (self.config.to_verify(), self.filtered.len());
        let (bytes, decoder) = decode_with(&config, self.content, profile, decoder, len, threads, progress)?;
        check_complete(&decoder, &bytes, self.data.len())?;
        Ok(bytes)
    }

    /// # Errors
    /// Those of the system, and [`ErrorKind::Internal`] unless the block's data was decoded.
    fn compare(&self, decoded: Result<Vec<u8>, Error>) -> Result<(), Error> {
        let reason = match decoded {
            Ok(bytes) if bytes == self.data => return Ok(()),
            Ok(_) => "other data came back".to_owned(),
            Err(error) if matches!(error.kind(), ErrorKind::Io | ErrorKind::Interrupted) => return Err(error),
            Err(error) => error.reason().to_owned(),
        };
        Err(Error::new(ErrorKind::Internal, format!("verification failed: {reason}; this computer or nzip is faulty")))
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Coded, LanePolicy, Preset, encode};
    use super::*;
    use crate::content::Filter;

    const MODES: [(Verify, usize); 4] =
        [(Verify::After, 1), (Verify::After, 2), (Verify::Along, 1), (Verify::Along, 2)];

    fn text() -> Vec<u8> {
        (0..4000u32).flat_map(|i| format!("line {} of a table\n", i * i % 1013).into_bytes()).collect()
    }

    #[test]
    fn verification_does_not_change_what_is_written() {
        for preset in [Preset::Fast, Preset::Full] {
            let config = CodecConfig::new(preset, None, LanePolicy::UpTo(1)).unwrap();
            for data in [text(), text()[..3].to_vec(), vec![0; 70_000]] {
                let coded = |(verify, threads)| {
                    let Coded { profile, payload } =
                        encode(&config, Kind::Binary, &data, verify, threads, &mut |_, _| true).unwrap();
                    (profile, payload)
                };
                let plain = coded((Verify::No, 1));
                MODES.iter().for_each(|&mode| assert!(coded(mode) == plain, "{preset:?}, {} bytes", data.len()));
            }
        }
    }

    #[test]
    fn what_does_not_come_back_is_an_error() {
        let config = CodecConfig::new(Preset::Fast, None, LanePolicy::UpTo(1)).unwrap();
        let (data, mut other) = (text(), text());
        other[10_000] ^= 1;
        let profile = Profile::choose(&config, Kind::Binary, &data, Filter::None).unwrap();
        let block = Block { config: &config, content: Kind::Binary, profile, data: &data, filtered: &other };
        for verify in [Verify::After, Verify::Along] {
            let error = block.encode(verify, 2, &mut |_, _| true).err().unwrap();
            assert_eq!(error.kind(), ErrorKind::Internal);
            assert!(error.reason().contains("other data came back"), "{error}");
        }
    }

    #[test]
    fn interruption_ends_both_sides() {
        let config = CodecConfig::new(Preset::Fast, None, LanePolicy::UpTo(1)).unwrap();
        for (verify, threads) in MODES {
            let stop = &mut |done, _| done < 40_000;
            let result = encode(&config, Kind::Binary, &text(), verify, threads, stop);
            assert_eq!(result.err().unwrap().kind(), ErrorKind::Interrupted);
        }
    }
}
