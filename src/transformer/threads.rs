//! Work shared out among threads; who does what has no influence on any bit.

use crate::{Error, ErrorKind};

/// The calling thread and a pool of the others.
pub struct Threads {
    pool: Option<rayon::ThreadPool>,
    pub count: usize,
}

impl Threads {
    pub fn new(count: usize) -> Result<Self, Error> {
        if count <= 1 {
            return Ok(Threads { pool: None, count: 1 });
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count - 1).build();
        let pool = pool.map_err(|error| Error::new(ErrorKind::Io, format!("no threads: {error}")))?;
        Ok(Threads { pool: Some(pool), count })
    }

    /// Does `work` to each of at most as many items as there are threads.
    pub fn each<T: Send>(&self, items: impl IntoIterator<Item = T>, work: impl Fn(T) + Sync) {
        let mut items = items.into_iter();
        let Some(own) = items.next() else { return };
        match &self.pool {
            Some(pool) => pool.in_place_scope(|scope| {
                for item in items {
                    scope.spawn(|_| work(item));
                }
                work(own);
            }),
            None => work(own),
        }
    }
}
