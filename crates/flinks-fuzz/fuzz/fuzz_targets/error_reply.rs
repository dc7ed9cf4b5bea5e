#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| flinks_fuzz::error_reply(data));
