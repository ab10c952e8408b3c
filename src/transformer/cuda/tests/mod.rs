//! The kernels and the host code on an emulator, against the CPU.

mod emulator;
mod kernels;
mod sessions;
