//! A model on a device, ready for any number of sessions.

use std::sync::Arc;

use super::super::model::Model;
use super::batcher::Batcher;
use super::device::Device;
use super::job::Job;
use super::weights::Weights;
use crate::error::Error;

/// A copy of a model on a device, and what evaluates it.
pub struct Replica {
    /// The model's weights.
    pub weights: Weights,
    batcher: Batcher,
}

impl Replica {
    /// Copies `model` to `device`.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`] if the kernels have no room for the model's shape, or if the device fails.
    pub fn new(device: Arc<dyn Device>, model: &Model) -> Result<Replica, Error> {
        let weights = Weights::new(device, model)?;
        Ok(Replica { batcher: Batcher::new(&*weights.device, model)?, weights })
    }

    /// The device's name, the megabytes of the weights, and how many jobs were done in how many batches.
    pub fn report(&self) -> String {
        let (name, (jobs, batches)) = (self.weights.device.name(), self.batcher.counts());
        let megabytes = self.weights.bytes as f64 / 1e6;
        format!("{name}, {megabytes:.1} MB of its memory for weights, {jobs} jobs in {batches} batches")
    }

    /// Jobs so far, and the batches that they were done in.
    #[cfg(test)]
    pub fn counts(&self) -> (u64, u64) {
        self.batcher.counts()
    }

    /// Does a session's job.
    ///
    /// # Errors
    /// [`crate::ErrorKind::Device`] if the device fails.
    pub fn run(&self, model: &Model, job: Job) -> Result<Job, Error> {
        self.batcher.run(&self.weights, model, job)
    }
}
