//! The codec with the embedded transformer: all numbers of lanes, also those that an encoder would not choose, and damage.

use super::profile::{MIN_LANE_BYTES, MIN_TWO_LANES, lanes};
use super::*;
use crate::test_random::TestRandom;

fn neural() -> CodecConfig {
    CodecConfig::new(Preset::Neural, None, LanePolicy::UpTo(1)).unwrap()
}

fn prose(len: usize) -> Vec<u8> {
    include_bytes!("../../corpora/samples/prose.txt").iter().copied().cycle().take(len).collect()
}

/// Text without repeats.
fn letters(len: usize) -> Vec<u8> {
    let mut random = TestRandom::new(7);
    std::iter::repeat_with(|| b'a' + random.below(26) as u8).take(len).collect()
}

fn proceed(_: usize, _: usize) -> bool {
    true
}

/// Codes a block in so many lanes.
fn in_lanes(config: &CodecConfig, data: &[u8], lanes: usize, threads: usize) -> Coded {
    let profile = Profile { lanes, ..Profile::choose(config, Kind::Binary, data, Filter::None).unwrap() };
    let ensemble = new_ensemble(config, Kind::Binary, profile, (data.len(), data.len()), LeftOut::Nothing).unwrap();
    let block = BlockCoder::new(ensemble, Encoder::default(), Some(data));
    let payload = run(config, profile, block, threads, &mut proceed).unwrap().coder.finish();
    Coded { profile: profile.to_byte(), payload }
}

#[test]
fn profiles_round_trip() {
    for byte in 0..=255 {
        for kind in [Kind::Binary, Kind::Image { row: 64, pixel: 4, depth: 32 }] {
            let profile = Profile::from_byte(kind, byte);
            assert_eq!(profile.to_byte(), byte);
            assert_eq!((profile.lanes, profile.lanes <= MAX_LANES), (lanes(byte), true));
        }
    }
}

#[test]
fn profile_bits_are_those_of_the_format() {
    let (lanes, learning, plain) = (8, 0, false);
    let binary = Profile { kind: DataKind::Binary, lanes, learning, thorough: true, plain, filter: Filter::X86 };
    assert_eq!(binary.to_byte(), 0b0101_0111);
    assert_eq!(binary.without_models().to_byte(), 0b1101_0001);
    let (lanes, learning, thorough) = (MAX_LANES, 1, false);
    let text = Profile { kind: DataKind::Text, lanes, learning, thorough, plain, filter: Filter::None };
    assert_eq!(text.to_byte(), 0b0100_1110);
    assert_eq!(text.without_models().to_byte(), 0b1000_0000);
    assert_eq!([0x00, 0x40, 0x80, 0xC0].map(super::profile::learning), [0, 1, 0, 3]);
}

#[test]
fn blocks_round_trip_in_any_lanes() {
    for (len, lanes, learning) in
        [(3000, 1, 0), (3001, 1, 3), (3000, 2, 1), (3001, 4, 0), (2999, 8, 1), (700, MAX_LANES, 3), (5, 8, 0)]
    {
        let config = neural().learning(learning);
        let data = prose(len);
        let coded = in_lanes(&config, &data, lanes, 1);
        assert_eq!([super::profile::lanes(coded.profile), super::profile::learning(coded.profile)], [lanes, learning]);
        assert!(coded.payload == in_lanes(&config, &data, lanes, 2).payload);
        for threads in [1, 2] {
            let back =
                decode(&config, Kind::Binary, coded.profile, &coded.payload, len, threads, &mut proceed).unwrap();
            assert!(back == data, "{len} bytes in {lanes} lanes");
        }
    }
}

/// An image with a frame, boxes of a few colours, some noise, and a last row that is cut.
fn boxes(row: usize, pixel: usize) -> Vec<u8> {
    let mut random = TestRandom::new((row * pixel) as u64);
    let mut image = [200, 201, 202, 255][..pixel].iter().copied().cycle().take(row / pixel * pixel).collect::<Vec<_>>();
    image.resize(row, 0);
    let mut image = image.repeat(90);
    for _ in 0..6 {
        let colour = random.bytes(pixel);
        let (left, top) = (random.below(row as u64 / 2) as usize / pixel * pixel, random.below(60) as usize);
        for y in top..top + 25 {
            let pixels = image[y * row + left..].chunks_exact_mut(pixel).take(row / pixel / 3);
            pixels.for_each(|bytes| bytes.copy_from_slice(&colour));
        }
    }
    for _ in 0..40 {
        let at = random.below(image.len() as u64) as usize;
        image[at] = random.byte();
    }
    image.truncate(image.len() - row / 3);
    image
}

#[test]
fn flat_images_round_trip_and_take_little() {
    for (row, pixel, depth) in [(300, 3, 8), (301, 3, 8), (200, 1, 8), (400, 4, 8), (150, 1, 4), (64, 8, 8), (2, 1, 8)]
    {
        let kind = Kind::Image { row, pixel, depth };
        let image = boxes(row as usize, usize::from(pixel).min(4));
        let config = CodecConfig::new(Preset::Full, None, LanePolicy::UpTo(1)).unwrap();
        let coded = encode(&config, kind, &image, Verify::No, 1, &mut proceed).unwrap();
        let back = decode(&config, kind, coded.profile, &coded.payload, image.len(), 1, &mut proceed).unwrap();
        assert!(back == image, "{kind:?}");
        assert!(coded.payload.len() < 60 + image.len() / 10, "{kind:?}: {} of {}", coded.payload.len(), image.len());
    }
}

#[test]
fn long_binary_data_round_trips() {
    let data: Vec<u8> = (0..LONG_BINARY as u32 / 8)
        .flat_map(|n| [n % 251, n.wrapping_mul(n) >> 7])
        .flat_map(u32::to_le_bytes)
        .collect();
    assert_eq!((data.len(), DataKind::of(&data)), (LONG_BINARY, DataKind::Binary));
    let [full, primed] = [Preset::Full, Preset::Primed].map(|preset| {
        let config = CodecConfig::new(preset, None, LanePolicy::UpTo(1)).unwrap();
        let coded = encode(&config, Kind::Binary, &data, Verify::No, 1, &mut proceed).unwrap();
        assert!(
            decode(&config, Kind::Binary, coded.profile, &coded.payload, data.len(), 1, &mut proceed).unwrap() == data
        );
        coded.payload.len()
    });
    assert!(primed < full, "{primed} bytes, {full} at level 2");
}

#[test]
fn encoders_choose_lanes_by_length() {
    let choose = |lane_policy, len, text: bool| {
        let config = CodecConfig { lane_policy, ..neural() };
        let data = if text { letters(len) } else { vec![0; len] };
        Profile::choose(&config, Kind::Binary, &data, Filter::None).unwrap().lanes
    };
    let up_to = |max| choose(LanePolicy::UpTo(max), 5 * MIN_LANE_BYTES, true);
    assert_eq!([1, 2, 7, 8, 128].map(up_to), [1, 2, 4, 4, 4]);
    let eight = LanePolicy::UpTo(8);
    let lens = [0, MIN_TWO_LANES - 1, MIN_TWO_LANES, 4 * MIN_LANE_BYTES - 1, 4 * MIN_LANE_BYTES];
    assert_eq!(lens.map(|len| choose(eight, len, true)), [1, 1, 2, 2, 4]);
    assert_eq!(choose(LanePolicy::UpTo(1), MIN_TWO_LANES, true), 1);
    assert_eq!(
        [eight, LanePolicy::Exactly(8)].map(|lane_policy| choose(lane_policy, 5 * MIN_LANE_BYTES, false)),
        [1, 1]
    );
    assert_eq!([1, MIN_LANE_BYTES].map(|len| choose(LanePolicy::Exactly(16), len, true)), [16, 16]);
    let digits = letters(6 * MIN_LANE_BYTES).chunks(12).flat_map(|some| [some, b"7"].concat()).collect::<Vec<_>>();
    for data in [digits, prose(8 * MIN_LANE_BYTES)] {
        let config = CodecConfig { lane_policy: eight, ..neural() };
        assert_eq!(Profile::choose(&config, Kind::Binary, &data, Filter::None).unwrap().lanes, 1);
    }
}

#[test]
fn damage_does_not_panic() {
    let config = neural();
    let data = prose(400);
    for lanes in [1, 4] {
        let coded = in_lanes(&config, &data, lanes, 1);
        let mut random = TestRandom::new(1);
        for _ in 0..20 {
            let mut payload = coded.payload.clone();
            let at = random.below(payload.len() as u64) as usize;
            payload[at] ^= 1 << random.below(8);
            if let Ok(bytes) = decode(&config, Kind::Binary, coded.profile, &payload, data.len(), 1, &mut proceed) {
                assert_eq!(bytes.len(), data.len());
            }
            // Wrong bytes may use up the payload early; the right ones need all but its last four bytes.
            if let Ok(bytes) = decode(&config, Kind::Binary, coded.profile, &payload[..at], data.len(), 1, &mut proceed)
            {
                assert_eq!(bytes.len(), data.len());
                assert!(bytes != data || at + 4 >= payload.len());
            }
        }
        let _ = decode(&config, Kind::Binary, coded.profile ^ 2, &coded.payload, data.len(), 1, &mut proceed);
    }
}

#[test]
fn lanes_and_learning_need_the_transformer() {
    let data = prose(400);
    let full = CodecConfig::new(Preset::Full, None, LanePolicy::UpTo(1)).unwrap();
    for (config, profile) in [(full, 2), (neural(), 3), (neural(), 0x82)] {
        let coded = in_lanes(&config, &data, 1, 1);
        let error = decode(&config, Kind::Binary, profile, &coded.payload, data.len(), 1, &mut proceed).unwrap_err();
        assert_eq!(
            (error.kind(), error.reason()),
            (ErrorKind::Corrupt, "a block without a transformer has several lanes, or layers that learn")
        );
    }
}

#[test]
fn binary_data_is_coded_thoroughly_where_it_may_be() {
    let mut random = TestRandom::new(9);
    let data: Vec<u8> =
        (0..600u32).flat_map(|i| [(i * i).to_le_bytes(), (random.below(9) as u32).to_le_bytes()]).flatten().collect();
    let usual = encode(&neural(), Kind::Binary, &data, Verify::No, 1, &mut proceed).unwrap();
    let config = neural().thorough(true);
    for kind in [
        Kind::Binary,
        Kind::Code,
        Kind::Risc { big_endian: true },
        Kind::Arm64,
        Kind::Workbook,
        Kind::Font,
        Kind::Class,
        Kind::Database,
    ] {
        let coded = encode(&config, kind, &data, Verify::No, 1, &mut proceed).unwrap();
        assert_eq!((coded.profile & 0b0100_0001, usual.profile & 0b0100_0001), (0b0100_0001, 1));
        assert_ne!(coded.payload, usual.payload);
        let back =
            |config: &CodecConfig, profile| decode(config, kind, profile, &coded.payload, data.len(), 1, &mut proceed);
        // The profile says how, not the level.
        assert!(back(&neural(), coded.profile).unwrap() == data);
        let primed = CodecConfig::new(Preset::Primed, None, LanePolicy::UpTo(1)).unwrap();
        assert_eq!(back(&primed, coded.profile).unwrap_err().kind(), ErrorKind::Corrupt);
    }
    let text = encode(&config, Kind::Text, &prose(400), Verify::No, 1, &mut proceed).unwrap();
    assert_eq!(text.profile >> 6, 0);
}
