//! Archives taken apart: their members are files, and their headers lack what the rest tells.

use std::ops::Range;

use super::candidates::Candidates;
use super::derived::{Form, Taken};
use super::kind::Kind;
use super::parse::{File, Parser};
use super::segment::{self, Segment};
use super::tar;

impl Parser {
    /// Takes apart what may be an archive, a document, or anything else.
    pub fn list(&mut self, bytes: &[u8], depth: usize, out: &mut Vec<Segment>) {
        let members = tar::members(bytes);
        if members.is_empty() {
            return self.member(bytes, depth, out);
        }
        let mut parts = Vec::new();
        let headers = self.tar(bytes, members, depth, &mut parts);
        let taken = if depth < self.max_depth { Form::take_tar(bytes, &segment::headers(&parts)) } else { None };
        let Some((form, tar)) = taken else { return out.extend(parts) };
        for (place, stream, at) in headers {
            self.streams[stream].bytes[at..at + place.len()].copy_from_slice(&tar[place]);
        }
        out.push(Segment::Derived { form, len: tar.len(), parts });
    }

    /// Takes a tar apart, the data of whose members lie at `members`. Returns where what is between lies: there, in which stream, and where
    /// in this.
    fn tar(
        &mut self,
        bytes: &[u8],
        members: Vec<Range<usize>>,
        depth: usize,
        out: &mut Vec<Segment>,
    ) -> Vec<(Range<usize>, usize, usize)> {
        let kind = Kind::Records { len: tar::BLOCK as u32 };
        let stream = self.stream(kind);
        let mut places = Vec::new();
        let mut from = 0;
        for member in members {
            let place = from..member.start;
            from = member.end;
            places.push((place.clone(), stream, self.streams[stream].bytes.len()));
            self.plain(&bytes[place], kind, out);
            self.member(&bytes[member], depth, out);
        }
        places.push((from..bytes.len(), stream, self.streams[stream].bytes.len()));
        self.plain(&bytes[from..], kind, out);
        places
    }

    /// Takes apart a file that is no tar.
    pub fn member(&mut self, bytes: &[u8], depth: usize, out: &mut Vec<Segment>) {
        let taken = if depth < self.max_depth { self.taken(bytes) } else { None };
        let Some(Taken { form, file, stored, has_digests, .. }) = taken else { return self.file(bytes, depth, out) };
        let mut parts = Vec::new();
        match form {
            Form::Zip(_) => self.zip(&file, (stored, has_digests), depth, &mut parts),
            _ => self.file(&file, depth, &mut parts),
        }
        out.push(Segment::Derived { form, len: file.len(), parts });
    }

    /// A file without the fields that the rest of it tells.
    fn taken(&mut self, bytes: &[u8]) -> Option<Taken> {
        let taken = Form::take(bytes, self.budget.flat_bytes())?;
        self.budget.charge(taken.work)?;
        Some(taken)
    }

    /// Takes a zip archive apart, some members of which are `stored`; `has_digests` as in [`Taken`].
    fn zip(
        &mut self,
        bytes: &[u8],
        (stored, has_digests): (Vec<Range<usize>>, bool),
        depth: usize,
        out: &mut Vec<Segment>,
    ) {
        let mut file = File { kind: Kind::Binary, may_have_record: has_digests };
        let mut from = 0;
        for data in stored {
            let candidates = Candidates::in_zip(&bytes[..data.start]);
            from = self.undone(candidates, (from, from), &mut file, depth, out);
            self.between(&bytes[from..data.start], file.kind, out);
            self.member(&bytes[data.clone()], depth, out);
            from = data.end;
        }
        from = self.undone(Candidates::in_zip(bytes), (from, from), &mut file, depth, out);
        self.between(&bytes[from..], file.kind, out);
    }
}
