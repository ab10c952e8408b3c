//! Work shared out among threads; who does what has no influence on any bit.

use rayon::prelude::*;

use crate::{Error, ErrorKind};

/// A pool, or just the calling thread.
pub struct Threads {
    pool: Option<rayon::ThreadPool>,
    count: usize,
}

impl Threads {
    pub fn new(count: usize) -> Result<Self, Error> {
        if count <= 1 {
            return Ok(Threads { pool: None, count: 1 });
        }
        let pool = rayon::ThreadPoolBuilder::new().num_threads(count).build();
        let pool = pool.map_err(|error| Error::new(ErrorKind::Io, format!("no threads: {error}")))?;
        Ok(Threads { pool: Some(pool), count })
    }

    /// Calls `work` where [`Threads::each`] and [`Threads::pieces`] are cheap to call.
    pub fn run(&self, work: impl FnOnce() + Send) {
        match &self.pool {
            Some(pool) => pool.install(work),
            None => work(),
        }
    }

    /// Does `work` to each item.
    pub fn each<T: Send>(&self, items: &mut [T], work: impl Fn(&mut T) + Sync + Send) {
        match self.pool {
            Some(_) if items.len() > 1 => items.par_iter_mut().for_each(work),
            _ => items.iter_mut().for_each(work),
        }
    }

    /// Cuts `items`, a number of units of `unit` items, into one piece for each thread, of a multiple of `multiple` units
    /// where possible, and calls `work` with each piece's first unit.
    pub fn pieces<T: Send>(
        &self,
        items: &mut [T],
        unit: usize,
        multiple: usize,
        work: impl Fn(usize, &mut [T]) + Sync + Send,
    ) {
        let units = (items.len() / unit).div_ceil(self.count).next_multiple_of(multiple);
        match self.pool {
            Some(_) if items.len() > units * unit => {
                items.par_chunks_mut(units * unit).enumerate().for_each(|(i, piece)| work(i * units, piece));
            }
            _ => work(0, items),
        }
    }
}
