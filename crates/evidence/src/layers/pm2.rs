//! `pm2 logs`: `0|shop  | line`, the number and the name of the app.

use super::Peeled;

pub(super) fn peel(text: &str, _: i32) -> Option<Peeled> {
    let (number, rest) = text.split_once('|')?;
    let (name, after) = rest.split_once('|')?;
    let digits = !number.is_empty() && number.len() <= 4;
    let plain = |it: u8| it.is_ascii_alphanumeric() || b"-_.".contains(&it);
    let app = name.trim_end();
    let named = !app.is_empty() && app.len() <= 64 && app.bytes().all(plain);
    if !digits || !number.bytes().all(|it| it.is_ascii_digit()) || !named || app.len() == name.len()
    {
        return None;
    }
    let line = match after {
        "" => after,
        it => it.strip_prefix(' ')?,
    };
    Some(Peeled { service: Some(app.to_owned()), ..Peeled::from(text.len() - line.len()) })
}
