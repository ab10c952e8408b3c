#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| {
    nzip_fuzz::trained::run(input);
});
