//! A parser for RESP 2, the Redis protocol.

use std::io::{BufRead, BufReader, Read};

/// Reads one command from a client and returns the command's words. Returns `None` if the
/// connection was closed.
pub(crate) fn command(reader: &mut BufReader<impl Read>) -> Option<Vec<Vec<u8>>> {
    let line = |reader: &mut BufReader<_>| {
        let mut line = String::new();
        reader.read_line(&mut line).ok().filter(|read| *read > 0)?;
        line.trim_end().get(1..)?.parse::<usize>().ok()
    };
    let count = line(reader)?;
    let mut words = Vec::new();
    for _ in 0..count {
        let mut word = vec![0; line(reader)? + 2];
        reader.read_exact(&mut word).ok()?;
        word.truncate(word.len() - 2);
        words.push(word);
    }
    Some(words)
}

/// Reads one response from a server and appends its bytes. Returns `None` if the connection was
/// closed.
pub(crate) fn response(reader: &mut impl BufRead, bytes: &mut Vec<u8>) -> Option<()> {
    let start = bytes.len();
    reader.read_until(b'\n', bytes).ok()?;
    let (kind, number) = bytes.get(start..)?.split_first()?;
    let number = std::str::from_utf8(number).unwrap_or_default().trim_end().parse::<i64>();
    match (kind, number) {
        (b'$', Ok(count @ 0..)) => {
            let count = u64::try_from(count).ok()? + 2;
            let read = reader.take(count).read_to_end(bytes).ok()?;
            (read as u64 == count).then_some(())
        }
        (b'*', Ok(count)) => (0..count).try_for_each(|_| response(reader, bytes)),
        _ => bytes.ends_with(b"\n").then_some(()),
    }
}

/// Returns the length of the first value in `bytes`, or `None` if the value is incomplete.
pub(crate) fn length(bytes: &[u8]) -> Option<usize> {
    let end = bytes.windows(2).position(|two| two == b"\r\n")? + 2;
    let number = || std::str::from_utf8(bytes.get(1..end - 2)?).ok()?.parse::<i64>().ok();
    match bytes.first()? {
        b'$' => match usize::try_from(number()?) {
            Ok(count) => Some(end + count + 2).filter(|all| bytes.len() >= *all),
            Err(_) => Some(end),
        },
        b'*' => (0..number()?).try_fold(end, |at, _| Some(at + length(bytes.get(at..)?)?)),
        _ => Some(end),
    }
}
