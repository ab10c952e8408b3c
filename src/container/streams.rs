//! The streams of a block, coded several at a time. Parts of a long stream begin with what the first of them has taught the model.

use std::cmp::Reverse;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::load::Load;
use crate::codec::{CodecConfig, Progress, SharedStart, Sharing};
use crate::content::Kind;
use crate::error::{Error, ErrorKind};

/// The stack size of a main thread.
const STACK_SIZE: usize = 8 << 20;
/// Time between two reports of progress.
const PATIENCE: Duration = Duration::from_millis(50);
/// Streams with fewer bytes in all are not worth a thread.
const MIN_LEN: usize = 1 << 16;

/// The streams of a block, and what each begins with.
pub struct Streams {
    streams: Vec<Member>,
}

struct Member {
    len: usize,
    config: CodecConfig,
    /// The state in which it ends, if others begin with it.
    start: Option<Arc<SharedStart>>,
    /// The stream in whose final state it begins.
    leader: Option<usize>,
}

impl Streams {
    /// Streams of these kinds and lengths in a block of an archive with this configuration.
    pub fn new(config: &CodecConfig, streams: impl IntoIterator<Item = (Kind, usize)>) -> Streams {
        let all: Vec<(Kind, usize)> = streams.into_iter().collect();
        let first = |kind: Kind| all.iter().position(|stream| stream.0 == kind);
        let parts = |kind: Kind| all.iter().filter(move |stream| stream.0 == kind).map(|stream| stream.1);
        let mut members: Vec<Member> = Vec::new();
        for (i, &(kind, len)) in all.iter().enumerate() {
            let leader = first(kind).filter(|&leader| leader < i && config.parts_share(kind));
            let start = match parts(kind).skip(1).max() {
                Some(longest) if leader.is_none() && config.parts_share(kind) => {
                    Some(Arc::new(SharedStart::new(longest, len)))
                }
                _ => None,
            };
            let begins = leader.and_then(|leader| members[leader].start.clone()).map(Sharing::Begins);
            let sharing = begins.or_else(|| start.clone().map(Sharing::Makes));
            let config = sharing.map_or_else(|| config.clone(), |sharing| config.sharing(sharing));
            members.push(Member { len, config, start, leader });
        }
        Streams { streams: members }
    }

    /// How a stream is coded.
    pub fn config(&self, stream: usize) -> &CodecConfig {
        &self.streams[stream].config
    }

    /// A stream is stored: others can't begin with its state.
    pub fn is_stored(&self, stream: usize) {
        if let Some(start) = &self.streams[stream].start {
            start.clear();
        }
    }

    /// Bytes of memory of the states that streams begin with.
    pub fn start_memory(&self) -> u64 {
        let makes = self.streams.iter().filter(|member| member.start.is_some());
        makes.map(|member| member.config.start_memory()).sum()
    }

    /// How many streams `threads` threads code at a time.
    pub fn at_once(&self, threads: usize) -> usize {
        Load { most: self.most(), ..Load::default() }.at_once(threads)
    }

    /// How many streams at a time gain anything.
    fn most(&self) -> usize {
        let lens = || self.streams.iter().map(|member| member.len);
        let longest = lens().max().unwrap_or(0).max(MIN_LEN);
        lens().sum::<usize>().div_ceil(longest)
    }

    /// What coding them takes, if a stream takes as many bytes of memory as `memory` says.
    pub fn load(&self, memory: impl Fn(usize, &CodecConfig) -> u64) -> Load {
        let each = self.streams.iter().enumerate().map(|(i, member)| memory(i, &member.config)).max().unwrap_or(0);
        Load { fixed: self.start_memory(), each, most: self.most() }
    }

    /// Does the `work` of all streams, `at_once` at a time. `work` gets the stream's number and its configuration, and reports bytes of
    /// plain data and of coded data; `progress` gets the sums.
    ///
    /// # Errors
    /// Those of `work`; [`ErrorKind::Interrupted`] if `progress` returns false.
    pub fn run<T: Send>(
        &self,
        at_once: usize,
        progress: &mut Progress,
        work: impl Fn(usize, &CodecConfig, &mut Progress) -> Result<T, Error> + Sync,
    ) -> Result<Vec<T>, Error> {
        let sums = Sums::default();
        if at_once <= 1 {
            let one = |(i, member): (usize, &Member)| {
                let mut reported = (0, 0);
                work(i, &member.config, &mut |bytes, coded| {
                    sums.add(&mut reported, (bytes, coded));
                    let (bytes, coded) = sums.get();
                    progress(bytes, coded)
                })
            };
            return self.streams.iter().enumerate().map(one).collect();
        }
        let queue = Queue::new(&self.streams);
        let one = |i: usize| {
            let mut reported = (0, 0);
            work(i, &self.streams[i].config, &mut |bytes, coded| {
                sums.add(&mut reported, (bytes, coded));
                !queue.stopped.load(Relaxed)
            })
        };
        thread::scope(|scope| {
            for _ in 0..at_once {
                let worker = thread::Builder::new().name("nzip stream".into()).stack_size(STACK_SIZE);
                queue.lock().workers += 1;
                if worker.spawn_scoped(scope, || queue.work(one)).is_err() {
                    queue.lock().workers -= 1;
                }
            }
            // Without any thread the work is done here.
            if queue.lock().workers == 0 {
                queue.lock().workers = 1;
                queue.work(one);
            }
            queue.supervise(|| {
                let (bytes, coded) = sums.get();
                progress(bytes, coded)
            });
        });
        queue.results()
    }
}

/// Bytes of plain data and of coded data that all streams have reported.
#[derive(Default)]
struct Sums {
    bytes: AtomicUsize,
    coded: AtomicUsize,
}

impl Sums {
    /// Adds what a stream reports beyond what it has `reported` before. Its coded data may become less.
    fn add(&self, reported: &mut (usize, usize), now: (usize, usize)) {
        self.bytes.fetch_add(now.0 - reported.0, Relaxed);
        self.coded.fetch_add(now.1.wrapping_sub(reported.1), Relaxed);
        *reported = now;
    }

    fn get(&self) -> (usize, usize) {
        (self.bytes.load(Relaxed), self.coded.load(Relaxed))
    }
}

/// Streams that wait for a thread, and the results of others.
struct Queue<'a, T> {
    streams: &'a [Member],
    state: Mutex<State<T>>,
    changed: Condvar,
    stopped: AtomicBool,
}

struct State<T> {
    /// Numbers of streams, the most urgent first.
    waiting: Vec<usize>,
    results: Vec<Option<Result<T, Error>>>,
    workers: usize,
}

impl<'a, T> Queue<'a, T> {
    fn new(streams: &'a [Member]) -> Self {
        let leads = |i: usize| streams.iter().any(|member| member.leader == Some(i));
        let mut waiting: Vec<usize> = (0..streams.len()).collect();
        waiting.sort_by_key(|&i| (!leads(i), streams[i].leader.is_none(), Reverse(streams[i].len)));
        let results = streams.iter().map(|_| None).collect();
        let state = Mutex::new(State { waiting, results, workers: 0 });
        Queue { streams, state, changed: Condvar::new(), stopped: AtomicBool::new(false) }
    }

    fn lock(&self) -> MutexGuard<'_, State<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A worker's life.
    fn work(&self, work: impl Fn(usize) -> Result<T, Error>) {
        while let Some(stream) = self.next() {
            let result = catch_unwind(AssertUnwindSafe(|| work(stream)))
                .unwrap_or_else(|_| Err(Error::new(ErrorKind::Internal, "coding a stream failed: a bug in nzip")));
            if result.is_err() {
                self.stopped.store(true, Relaxed);
            }
            self.lock().results[stream] = Some(result);
            self.changed.notify_all();
        }
        self.lock().workers -= 1;
        self.changed.notify_all();
    }

    /// The next stream that can be coded; waits for it.
    fn next(&self) -> Option<usize> {
        let mut state = self.lock();
        loop {
            if state.waiting.is_empty() || self.stopped.load(Relaxed) {
                return None;
            }
            let is_ready = |&i: &usize| self.streams[i].leader.is_none_or(|leader| state.results[leader].is_some());
            if let Some(place) = state.waiting.iter().position(is_ready) {
                return Some(state.waiting.remove(place));
            }
            state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Waits for all workers. They are stopped if `progress` returns false.
    fn supervise(&self, mut progress: impl FnMut() -> bool) {
        let mut state = self.lock();
        while state.workers > 0 {
            state = self.changed.wait_timeout(state, PATIENCE).unwrap_or_else(PoisonError::into_inner).0;
            drop(state);
            let goes_on = progress();
            state = self.lock();
            if !goes_on {
                self.stopped.store(true, Relaxed);
                self.changed.notify_all();
            }
        }
    }

    /// The results in the order of the streams. Of several errors, the first that is not a consequence of another.
    fn results(self) -> Result<Vec<T>, Error> {
        let mut values = Vec::new();
        let mut failed = None;
        for result in self.state.into_inner().unwrap_or_else(PoisonError::into_inner).results {
            match result {
                Some(Ok(value)) => values.push(value),
                Some(Err(error)) if error.kind() != ErrorKind::Interrupted => failed = failed.or(Some(error)),
                _ => {}
            }
        }
        if values.len() == self.streams.len() {
            return Ok(values);
        }
        Err(failed.unwrap_or_else(|| Error::new(ErrorKind::Interrupted, "interrupted")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::codec::{LanePolicy, Preset, Verify};
    use crate::container::segmented;
    use crate::content::{Division, Effort, Parsed, Stream, parse};
    use crate::fields::put_varint;
    use crate::test_random::TestRandom;

    const PART: usize = 64 << 10;
    const ALL: fn(usize, usize) -> bool = |_, _| true;

    fn config(preset: Preset) -> CodecConfig {
        CodecConfig::new(preset, None, LanePolicy::UpTo(1)).unwrap()
    }

    /// Words, of which some are rare.
    fn text(len: usize, seed: u64) -> Vec<u8> {
        let mut random = TestRandom::new(5);
        let words: Vec<Vec<u8>> =
            (0..3000).map(|_| (0..3 + random.below(6)).map(|_| b'a' + random.below(26) as u8).collect()).collect();
        let (mut random, mut text) = (TestRandom::new(seed), Vec::new());
        while text.len() < len {
            let rare = random.below(words.len() as u64);
            for word in [random.below(60).min(rare), rare, rare / 2] {
                text.extend(&words[word as usize]);
                text.push(b' ');
            }
        }
        text.truncate(len);
        text
    }

    fn records(len: usize) -> Vec<u8> {
        let mut random = TestRandom::new(9);
        (0..len as u32 / 8).flat_map(|i| [i / 3, random.below(300) as u32].map(u32::to_le_bytes)).flatten().collect()
    }

    fn divided(content: &[u8]) -> Parsed {
        let division = Some(Division { first: PART, other: PART, most: 8, text: true });
        parse(content, Effort { recompress: true, samples: false, expansion: 16, division }).unwrap()
    }

    /// A block of these streams of binary data.
    fn by_hand(streams: &[&[u8]]) -> Parsed {
        let mut script = Vec::new();
        for (index, bytes) in streams.iter().enumerate() {
            put_varint(&mut script, 11 + index as u64);
            put_varint(&mut script, bytes.len() as u64);
        }
        put_varint(&mut script, 0);
        let stream = |(kind, bytes): (Kind, &[u8])| Stream { kind, bytes: bytes.to_vec() };
        let all = streams.iter().map(|&bytes| (Kind::Binary, bytes));
        let streams = [(Kind::Script, &script[..])].into_iter().chain(all).map(stream).collect();
        Parsed { streams, corrections: Vec::new(), segments: Vec::new() }
    }

    fn round_trip(config: &CodecConfig, parsed: &Parsed, content: &[u8]) -> Vec<u8> {
        let encode =
            |threads, verify| segmented::encode(config, parsed, content.len(), verify, threads, &mut { ALL }).unwrap();
        let body = encode(1, Verify::No);
        for (threads, verify) in [(2, Verify::Along), (5, Verify::After), (3, Verify::No)] {
            assert!(encode(threads, verify).bytes == body.bytes, "{threads} threads");
        }
        for threads in [1, 2, 5] {
            let claimed = (body.profile, body.plain_len);
            let back = segmented::decode(config, &body.bytes, claimed, content.len(), threads, &mut { ALL });
            assert!(back.unwrap() == content, "{threads} threads");
        }
        body.bytes
    }

    #[test]
    fn any_number_of_threads_gives_the_same_bytes() {
        let content = [&text(6 * PART, 1)[..], &records(4 * PART), &text(3 * PART, 2)].concat();
        let parsed = divided(&content);
        let count = |kind| parsed.streams.iter().filter(|stream| stream.kind == kind).count();
        assert_eq!((count(Kind::Text), count(Kind::Binary)), (9, 4));
        for preset in [Preset::Fast, Preset::Full] {
            round_trip(&config(preset), &parsed, &content);
        }
    }

    #[test]
    fn parts_begin_with_what_the_first_has_taught() {
        let content = text(6 * PART, 1);
        let parsed = divided(&content);
        let config = config(Preset::Fast);
        let together = round_trip(&config, &parsed, &content).len();
        let alone = |stream: &Stream| {
            crate::codec::encode(&config, stream.kind, &stream.bytes, Verify::No, 1, &mut { ALL })
                .unwrap()
                .payload
                .len()
        };
        let apart: usize = parsed.streams.iter().map(alone).sum();
        assert!(together * 10 < apart * 9, "{together}, {apart}");
    }

    #[test]
    fn a_stored_stream_is_no_start() {
        let noise = TestRandom::new(3).bytes(PART);
        for parts in [[&noise[..], &records(PART), &records(PART)], [&records(PART)[..], &noise, &records(2 * PART)]] {
            let (parsed, content) = (by_hand(&parts), parts.concat());
            round_trip(&config(Preset::Fast), &parsed, &content);
        }
    }

    #[test]
    fn parts_that_the_transformer_predicts_begin_anew() {
        let prose = &include_bytes!("../../corpora/samples/prose.txt").repeat(2)[..3 << 10];
        let division = Some(Division { first: 1 << 10, other: 1 << 10, most: 8, text: true });
        let parsed = parse(prose, Effort { recompress: true, samples: false, expansion: 16, division }).unwrap();
        assert_eq!(parsed.streams.len(), 4);
        let config = config(Preset::Neural);
        let streams = Streams::new(&config, parsed.streams.iter().map(|stream| (stream.kind, stream.bytes.len())));
        assert!(streams.streams.iter().all(|member| member.leader.is_none() && member.start.is_none()));
        let body = segmented::encode(&config, &parsed, prose.len(), Verify::No, 3, &mut { ALL }).unwrap();
        let claimed = (body.profile, body.plain_len);
        let back = segmented::decode(&config, &body.bytes, claimed, prose.len(), 2, &mut { ALL });
        assert!(back.unwrap() == prose);
    }

    fn lengths(lens: &[usize]) -> Streams {
        Streams::new(&config(Preset::Fast), lens.iter().map(|&len| (Kind::Text, len)))
    }

    #[test]
    fn errors_and_panics_end_all_streams() {
        let streams = lengths(&[9 * PART; 9]);
        for at_once in [1, 3] {
            let run = |work: &(dyn Fn(usize) -> Result<usize, Error> + Sync), goes_on: bool| {
                streams.run(at_once, &mut |_, _| goes_on, |stream, _, progress| {
                    if !progress(stream, stream) {
                        return Err(Error::new(ErrorKind::Interrupted, "interrupted"));
                    }
                    work(stream)
                })
            };
            assert_eq!(run(&Ok, true).unwrap(), [0, 1, 2, 3, 4, 5, 6, 7, 8]);
            let fails = |stream| match stream {
                0 | 3 => Err(Error::new(ErrorKind::Corrupt, "no")),
                _ => Ok(stream),
            };
            assert_eq!(run(&fails, true).unwrap_err().kind(), ErrorKind::Corrupt);
        }
        let panics = |stream: usize| if stream == 4 { panic!("on purpose") } else { Ok(stream) };
        let error = streams.run(3, &mut |_, _| true, |stream, _, _| panics(stream)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Internal);
        let waits = |_, _: &CodecConfig, progress: &mut Progress| {
            while progress(0, 0) {
                thread::sleep(Duration::from_millis(1));
            }
            Err::<(), Error>(Error::new(ErrorKind::Interrupted, "interrupted"))
        };
        let mut reports = 0;
        let stops = &mut |_, _| {
            reports += 1;
            reports < 3
        };
        assert_eq!(streams.run(3, stops, waits).unwrap_err().kind(), ErrorKind::Interrupted);
    }

    #[test]
    fn progress_is_the_sum() {
        let streams = lengths(&[PART, 2 * PART, 3 * PART]);
        for at_once in [1, 3] {
            let mut last = (0, 0);
            let result = streams.run(
                at_once,
                &mut |bytes, coded| {
                    assert!(bytes >= last.0 && bytes <= 6 * PART);
                    last = (bytes, coded);
                    true
                },
                |stream, _, progress| {
                    let len = (stream + 1) * PART;
                    let goes_on = [(len / 2, 9), (len, 20), (len, 7)].map(|(bytes, coded)| progress(bytes, coded));
                    assert_eq!(goes_on, [true; 3]);
                    Ok(())
                },
            );
            assert_eq!(result.unwrap().len(), 3);
            assert!(at_once > 1 || last == (6 * PART, 21));
        }
    }

    #[test]
    fn the_load_follows_from_lengths() {
        assert_eq!(lengths(&[PART / 9; 5]).at_once(8), 1, "not worth a thread");
        assert_eq!(lengths(&[4 * PART, PART, PART]).at_once(8), 2);
        assert_eq!([1, 3, 8].map(|threads| lengths(&[PART; 5]).at_once(threads)), [1, 3, 5]);
        let load = Load { fixed: 100, each: 10, most: 4 };
        assert_eq!([0, 1, 3, 9].map(|threads| load.memory(threads)), [110, 110, 130, 140]);
        assert_eq!([50, 115, 130, 900].map(|memory| load.threads_within(8, memory)), [1, 1, 3, 8]);
        assert_eq!(load.with(5).memory(1), 115);
        let one = lengths(&[PART]).load(|_, config| config.memory(Kind::Text, PART));
        let two = lengths(&[PART, PART]).load(|_, config| config.memory(Kind::Text, PART));
        assert_eq!(one.fixed, 0);
        assert!(two.fixed >= one.each && two.each == one.each + PART as u64, "{two:?}");
    }
}
