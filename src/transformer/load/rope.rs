//! Scaling of rotary frequencies for long contexts, as one divisor for each pair.

use serde_json::Value;

use super::fields::Fields;
use crate::error::Error;
use crate::transformer::rope::speeds;

/// The divisors that `scaling`, the field `rope_scaling` or `rope_parameters` of config.json, asks for; empty if none.
///
/// # Errors
/// [`ErrorKind::Model`](crate::ErrorKind::Model) for any other kind of scaling than `linear` and `llama3`.
pub fn divisors(scaling: &Value, place: &str, head_dim: usize, theta: f32) -> Result<Vec<f32>, Error> {
    let kind = scaling.get("rope_type").or(scaling.get("type")).and_then(Value::as_str);
    let fields = Fields { json: scaling, place };
    let number = |key: &str| {
        let number = fields.real(key, scaling)?.filter(|number| number.is_finite() && *number > 0.0);
        number.map(f64::from).ok_or_else(|| fields.wrong(format!("rope scaling {scaling} has no positive {key}")))
    };
    match kind {
        _ if scaling.is_null() => Ok(Vec::new()),
        Some("default") => Ok(Vec::new()),
        Some("linear") => Ok(vec![number("factor")? as f32; head_dim / 2]),
        Some("llama3") => {
            let (factor, original) = (number("factor")?, number("original_max_position_embeddings")?);
            let (low, high) = (number("low_freq_factor")?, number("high_freq_factor")?);
            if high <= low {
                return Err(fields.wrong(format!("rope scaling {scaling} has no range of frequencies")));
            }
            let divisor = |speed: f64| {
                let turns = original * speed / std::f64::consts::TAU;
                let smooth = ((turns - low) / (high - low)).clamp(0.0, 1.0);
                (1.0 / ((1.0 - smooth) / factor + smooth)) as f32
            };
            Ok(speeds(head_dim, theta).into_iter().map(divisor).collect())
        }
        _ => Err(fields.wrong(format!("rope scaling {scaling} is not supported; linear and llama3 are"))),
    }
}
