//! The codec with the embedded transformer: lanes that an encoder wouldn't choose, and damage.

use super::profile::{MIN_LANE, lanes};
use super::*;

fn neural() -> CodecConfig {
    CodecConfig::new(Preset::Neural, None, LanePolicy::UpTo(1)).unwrap()
}

fn prose(len: usize) -> Vec<u8> {
    include_bytes!("../../corpora/samples/prose.txt").iter().copied().cycle().take(len).collect()
}

/// Text that doesn't repeat itself.
fn letters(len: usize) -> Vec<u8> {
    let mut state = 7u32;
    let letter = || {
        state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
        b'a' + (state >> 24) as u8 % 26
    };
    std::iter::repeat_with(letter).take(len).collect()
}

fn on(_: usize, _: usize) -> bool {
    true
}

/// A block as it would be coded in so many lanes.
fn in_lanes(config: &CodecConfig, data: &[u8], lanes: usize, threads: usize) -> Coded {
    let profile = Profile { lanes, ..Profile::choose(config, data, Filter::None).unwrap() };
    let ensemble = start(config, profile, data.len(), true).unwrap();
    let mut turns = LaneScheduler::new(ensemble, Encoder::default(), Some(data), lanes);
    run(config, profile, &mut turns, threads, &mut on).unwrap();
    Coded { profile: profile.to_byte(), payload: turns.coder.finish() }
}

#[test]
fn profiles_are_bytes() {
    for byte in 0..=255 {
        match Profile::from_byte(byte) {
            Ok(profile) => {
                assert_eq!(profile.to_byte(), byte);
                assert_eq!((profile.lanes, profile.lanes <= MAX_LANES), (lanes(byte), true));
            }
            Err(error) => assert!(byte >> 4 & 3 > 1 && error.kind() == ErrorKind::Corrupt),
        }
    }
}

#[test]
fn any_lanes_come_back() {
    for (len, lanes, learning) in
        [(3000, 1, 0), (3001, 1, 3), (3000, 2, 1), (3001, 4, 0), (2999, 8, 2), (700, MAX_LANES, 3), (5, 8, 0)]
    {
        let config = neural().learning(learning);
        let data = prose(len);
        let coded = in_lanes(&config, &data, lanes, 1);
        assert_eq!([super::profile::lanes(coded.profile), super::profile::learning(coded.profile)], [lanes, learning]);
        assert!(coded.payload == in_lanes(&config, &data, lanes, 2).payload);
        for threads in [1, 2] {
            let back = decode(&config, coded.profile, &coded.payload, len, threads, &mut on).unwrap();
            assert!(back == data, "{len} bytes in {lanes} lanes");
        }
    }
}

#[test]
fn long_binary_data_come_back() {
    let data: Vec<u8> = (0..LONG_BINARY as u32 / 8)
        .flat_map(|n| [n % 251, n.wrapping_mul(n) >> 7])
        .flat_map(u32::to_le_bytes)
        .collect();
    assert_eq!((data.len(), DataKind::of(&data)), (LONG_BINARY, DataKind::Binary));
    let [full, primed] = [Preset::Full, Preset::Primed].map(|model| {
        let config = CodecConfig::new(model, None, LanePolicy::UpTo(1)).unwrap();
        let coded = encode(&config, &data, 1, &mut on).unwrap();
        assert!(decode(&config, coded.profile, &coded.payload, data.len(), 1, &mut on).unwrap() == data);
        coded.payload.len()
    });
    assert!(primed < full, "{primed} bytes, {full} at level 2");
}

#[test]
fn encoders_choose_lanes_by_length() {
    let choose = |lane_policy, len, text: bool| {
        let config = CodecConfig { lane_policy, ..neural() };
        let data = if text { letters(len) } else { vec![0; len] };
        Profile::choose(&config, &data, Filter::None).unwrap().lanes
    };
    let up_to = |most| choose(LanePolicy::UpTo(most), 5 * MIN_LANE, true);
    assert_eq!([1, 2, 7, 8, 128].map(up_to), [1, 2, 4, 4, 4]);
    let eight = LanePolicy::UpTo(8);
    assert_eq!([0, 2 * MIN_LANE - 1, 2 * MIN_LANE].map(|len| choose(eight, len, true)), [1, 1, 2]);
    assert_eq!([eight, LanePolicy::Exactly(8)].map(|lane_policy| choose(lane_policy, 5 * MIN_LANE, false)), [1, 1]);
    assert_eq!([1, MIN_LANE].map(|len| choose(LanePolicy::Exactly(16), len, true)), [16, 16]);
    let digits = letters(6 * MIN_LANE).chunks(12).flat_map(|some| [some, b"7"].concat()).collect::<Vec<_>>();
    for data in [digits, prose(8 * MIN_LANE)] {
        let config = CodecConfig { lane_policy: eight, ..neural() };
        assert_eq!(Profile::choose(&config, &data, Filter::None).unwrap().lanes, 1);
    }
}

#[test]
fn damage_is_no_panic() {
    let config = neural();
    let data = prose(400);
    for lanes in [1, 4] {
        let coded = in_lanes(&config, &data, lanes, 1);
        let mut state = 1u32;
        for _ in 0..20 {
            state = state.wrapping_mul(0x0019_660D).wrapping_add(0x3C6E_F35F);
            let mut payload = coded.payload.clone();
            let at = (state >> 16) as usize % payload.len();
            payload[at] ^= 1 << (state >> 13 & 7);
            if let Ok(bytes) = decode(&config, coded.profile, &payload, data.len(), 1, &mut on) {
                assert_eq!(bytes.len(), data.len());
            }
            // Other bytes may take fewer bits than are left; the right ones take all but the last four bytes.
            if let Ok(bytes) = decode(&config, coded.profile, &payload[..at], data.len(), 1, &mut on) {
                assert_eq!(bytes.len(), data.len());
                assert!(bytes != data || at + 4 >= payload.len());
            }
        }
        let _ = decode(&config, coded.profile ^ 2, &coded.payload, data.len(), 1, &mut on);
    }
}

#[test]
fn lanes_and_learning_are_for_the_transformer() {
    let data = prose(400);
    let full = CodecConfig::new(Preset::Full, None, LanePolicy::UpTo(1)).unwrap();
    for (config, profile) in [(full, 2), (neural(), 3), (neural(), 0x41)] {
        let coded = in_lanes(&config, &data, 1, 1);
        let error = decode(&config, profile, &coded.payload, data.len(), 1, &mut on).unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Corrupt, "a block without a transformer has several lanes, or layers that learn")
        );
    }
}
