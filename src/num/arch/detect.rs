//! Selection of kernels at run time.

use std::sync::LazyLock;

/// True if the environment has `NZIP_FORCE_SCALAR=1`, which selects the scalar kernels. Results don't depend on it.
fn forced_scalar() -> bool {
    static FORCED: LazyLock<bool> =
        LazyLock::new(|| std::env::var_os("NZIP_FORCE_SCALAR").is_some_and(|value| value == "1"));
    *FORCED
}

/// The last (fastest) of `kernels`, or the first (scalar) if [`forced_scalar`].
pub fn fastest<K>(kernels: Vec<K>) -> K {
    let take = if forced_scalar() { 1 } else { kernels.len() };
    kernels.into_iter().take(take).last().expect("the scalar kernels are always there")
}
