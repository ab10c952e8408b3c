//! Which token may follow another within a word, if byte-pair encoding made the tokens (Sennrich et al., "Neural machine translation of
//! rare words with subword units", 2016).
//!
//! Such a vocabulary cuts a word in one way: of all adjacent parts that make a token together, those that make the one with the lowest id
//! become one, again and again. A model was trained on these cuts alone. Whether a cut is one of them, its pairs of adjacent tokens say
//! (Vieira et al., "Language models over canonical byte-pair encodings", 2025): each must be what becomes of the bytes of both.

use super::trie::{Trie, VIRTUAL};

/// One token in so many is tried to find whether ids tell the order of merges.
const TRIED: usize = 16;
/// The least share of them, in percent, that must come out as one token.
const MIN_WHOLE: usize = 99;

/// Longer words are cut into the longest tokens: time grows with the square of their length.
const LONGEST: usize = 64;

/// Whether the vocabulary's ids tell how words are cut: a sample of its tokens that are words or parts of words come out whole.
pub fn are_known(trie: &Trie, tokens: &[Vec<u8>]) -> bool {
    let tried = tokens.iter().filter(|token| (2..=LONGEST).contains(&token.len()) && is_word(token)).step_by(TRIED);
    let (mut all, mut whole) = (0, 0);
    for token in tried {
        all += 1;
        whole += usize::from(ends(trie, token).len() == 1);
    }
    all > 0 && 100 * whole >= MIN_WHOLE * all
}

/// Whether the token `next` may follow `token`. Unless both are parts of one word it always may: some vocabularies cut between words or
/// digits before they merge.
pub fn may_follow(trie: &Trie, token: &[u8], next: &[u8]) -> bool {
    let is_within = trie.ids_are_merges && is_word(token) && is_word(next) && next[0] != b' ';
    !is_within
        || token.len() + next.len() > LONGEST
        || ends(trie, &[token, next].concat()) == [token.len(), token.len() + next.len()]
}

/// Whether these are letters, maybe after a space.
fn is_word(bytes: &[u8]) -> bool {
    let letters = bytes.strip_prefix(b" ").unwrap_or(bytes);
    !bytes.is_empty() && letters.iter().all(u8::is_ascii_alphabetic)
}

/// Where the tokens of `bytes` end: words are cut as byte-pair encoding does, what is between them into the longest tokens.
pub fn cut(trie: &Trie, bytes: &[u8]) -> Vec<usize> {
    let mut all = Vec::new();
    let mut at = 0;
    while at < bytes.len() {
        let len = if trie.ids_are_merges { word(&bytes[at..]) } else { 0 };
        if len > 0 {
            all.extend(ends(trie, &bytes[at..at + len]).into_iter().map(|end| at + end));
            at += len;
        } else {
            at += trie.tokenize(&bytes[at..]).next().map_or(1, <[u8]>::len);
            all.push(at);
        }
    }
    all
}

/// The length of the word that `bytes` begin with, with a space before it; 0 if they begin with none or a very long one.
fn word(bytes: &[u8]) -> usize {
    let space = usize::from(bytes[0] == b' ');
    let letters = bytes[space..].iter().take_while(|byte| byte.is_ascii_alphabetic()).count();
    if (1..LONGEST).contains(&letters) { space + letters } else { 0 }
}

/// Where the tokens of `word` end.
fn ends(trie: &Trie, word: &[u8]) -> Vec<usize> {
    let mut ends: Vec<usize> = (1..=word.len()).collect();
    let start = |ends: &[usize], part: usize| part.checked_sub(1).map_or(0, |before| ends[before]);
    loop {
        let merged = |part: usize| {
            let id = trie.find(&word[start(&ends, part)..ends[part + 1]]);
            id.filter(|&id| id != VIRTUAL).map(|id| (id, part))
        };
        match (0..ends.len() - 1).filter_map(merged).min() {
            Some((_, part)) => ends.remove(part),
            None => return ends,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn vocabulary(merged: &[&[u8]]) -> (Trie, Vec<Vec<u8>>) {
        let singles = (0..=255u8).map(|byte| vec![byte]);
        let tokens: Vec<Vec<u8>> = singles.chain(merged.iter().map(|token| token.to_vec())).collect();
        let mut trie = Trie::new(&tokens);
        trie.ids_are_merges = are_known(&trie, &tokens);
        (trie, tokens)
    }

    #[test]
    fn words_are_cut_in_the_order_of_merges() {
        let (trie, _) = vocabulary(&[b"in", b"ing", b"il", b" p", b"iling", b" pil", b"\n\n"]);
        assert!(trie.ids_are_merges);
        assert_eq!(cut(&trie, b" piling"), [2, 7]);
        assert_eq!(cut(&trie, b"\n\npil. pil"), [2, 3, 5, 6, 10]);
        let may_follow = |token: &[u8], next: &[u8]| may_follow(&trie, token, next);
        assert!(may_follow(b" p", b"iling") && may_follow(b"p", b"il") && may_follow(b"in", b"in"));
        assert!(!may_follow(b" pil", b"ing") && !may_follow(b" ", b"p") && !may_follow(b"i", b"ng"));
        // Not within a word.
        assert!(may_follow(b"\n", b"\n") && may_follow(b"i", b" p") && may_follow(b"", b"in"));
    }

    #[test]
    fn ids_in_another_order_tell_nothing() {
        let (trie, _) = vocabulary(&[b"ing", b"in", b"il", b" p", b"iling", b" pil"]);
        assert!(trie.ids_are_merges, "the order of these two does not matter");
        let (trie, tokens) = vocabulary(&[b"iling", b"li", b"in", b"ing", b"il"]);
        assert!(!are_known(&trie, &tokens));
        assert!(may_follow(&trie, b"i", b"n"));
        assert_eq!(cut(&trie, b"iling"), [5], "the longest tokens");
        assert!(!vocabulary(&[b"\n\n"]).0.ids_are_merges, "there are no words");
    }

    #[test]
    fn very_long_words_are_cut_into_the_longest_tokens() {
        let (trie, _) = vocabulary(&[b"aa", b"aaa"]);
        assert_eq!(cut(&trie, b"aaaa"), [2, 4]);
        assert_eq!(cut(&trie, &[b'a'; 130])[..2], [3, 6]);
        assert!(!may_follow(&trie, &[b'a'; 3], &[b'a'; 2]) && may_follow(&trie, &[b'a'; 33], &[b'a'; 33]));
    }
}
