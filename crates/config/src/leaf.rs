//! Settings that are written as one word and mean something narrower than text.
//!
//! Each kind is a [`Leaf`]: its name in the schema, how it is described, and how it is read. The
//! walk over the file uses [`FORMATS`] to complain at the right place, serde uses the same readers
//! afterwards, so the two cannot disagree.

mod address;
mod amount;
mod name;
mod path;
mod url;

pub(crate) use address::{DnsServer, ListenAt, Network, StatusAt, TrustedPeer};
pub use amount::duration;
pub(crate) use amount::{Pause, Percent, Positive, Size, StatusRange};
pub(crate) use name::{
    ContentType, HostMatched, HostToSend, Method, ServerName, StickyBy, Token, is_token,
};
pub(crate) use path::{
    AccessLogTo, FilePath, FolderPath, PathPattern, Pattern, Prefix, RedirectTo, RequestPath,
    RewriteTo, Sought,
};
pub(crate) use url::{Destination, LONGEST_SOCKET_PATH, TargetUrl, To};

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::borrow::Cow;

/// One kind of word.
pub(crate) trait Leaf {
    /// What the word means.
    type Value;
    /// `format` in the schema.
    const FORMAT: &str;
    /// Follows "must be".
    const WHAT: &str;
    /// Whether a bare integer will do as well.
    const NUMBER: bool = false;
    fn read(text: &str) -> Result<Self::Value, Wrong>;
}

/// Why a word does not mean anything. The word itself stays out of it: it may be a secret.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Wrong {
    pub(crate) code: &'static str,
    /// Follows the word in a sentence.
    pub(crate) says: Cow<'static, str>,
    pub(crate) help: Option<Cow<'static, str>>,
}

impl Wrong {
    pub(crate) fn new(says: impl Into<Cow<'static, str>>) -> Self {
        Self { code: "bad_value", says: says.into(), help: None }
    }

    /// The design has it, this version does not.
    pub(crate) fn later(what: &str) -> Self {
        let says = format!("uses {what}, which is not in this version");
        Self { code: "not_in_this_version", says: says.into(), help: None }
    }

    pub(crate) fn help(self, help: impl Into<Cow<'static, str>>) -> Self {
        Self { help: Some(help.into()), ..self }
    }
}

/// A word together with what it means.
#[derive(Debug)]
pub(crate) struct Word<L: Leaf> {
    pub(crate) means: L::Value,
    text: String,
}

impl<L: Leaf> Word<L> {
    /// A default of ours.
    pub(crate) fn default_of(text: &str) -> Self {
        match L::read(text) {
            Ok(means) => Self { means, text: text.to_owned() },
            Err(wrong) => unreachable!("our own default `{text}` {}", wrong.says),
        }
    }
}

impl<L: Leaf> Serialize for Word<L> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.text)
    }
}

impl<'de, L: Leaf> Deserialize<'de> for Word<L> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = match serde_json::Value::deserialize(deserializer)? {
            serde_json::Value::String(it) => it,
            serde_json::Value::Number(it) if L::NUMBER => it.to_string(),
            _ => return Err(D::Error::custom(format_args!("must be {}", L::WHAT))),
        };
        let means = L::read(&text).map_err(|it| D::Error::custom(it.says))?;
        Ok(Self { means, text })
    }
}

impl<L: Leaf> JsonSchema for Word<L> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        L::FORMAT.into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        if L::NUMBER {
            return json_schema!({ "type": ["string", "integer"], "format": L::FORMAT });
        }
        json_schema!({ "type": "string", "format": L::FORMAT })
    }
}

/// A kind of word, for the walk.
pub(crate) struct Format {
    pub(crate) name: &'static str,
    pub(crate) what: &'static str,
    pub(crate) check: fn(&str) -> Option<Wrong>,
}

const fn format<L: Leaf>() -> Format {
    Format { name: L::FORMAT, what: L::WHAT, check: |text| L::read(text).err() }
}

/// Every kind of word there is.
pub(crate) const FORMATS: &[Format] = &[
    format::<AccessLogTo>(),
    format::<ContentType>(),
    format::<Destination>(),
    format::<DnsServer>(),
    format::<FilePath>(),
    format::<FolderPath>(),
    format::<HostMatched>(),
    format::<HostToSend>(),
    format::<ListenAt>(),
    format::<Method>(),
    format::<Network>(),
    format::<PathPattern>(),
    format::<Pause>(),
    format::<Percent>(),
    format::<Positive>(),
    format::<Prefix>(),
    format::<RedirectTo>(),
    format::<RequestPath>(),
    format::<RewriteTo>(),
    format::<ServerName>(),
    format::<Size>(),
    format::<Sought>(),
    format::<StatusAt>(),
    format::<StatusRange>(),
    format::<StickyBy>(),
    format::<TargetUrl>(),
    format::<Token>(),
    format::<TrustedPeer>(),
];

/// The kind of word that a schema's `format` names.
pub(crate) fn format_named(name: &str) -> Option<&'static Format> {
    FORMATS.iter().find(|it| it.name == name)
}

#[cfg(test)]
pub(crate) mod testing {
    use super::{Leaf, Wrong};
    use std::fmt::Debug;

    /// A word means what `expected` says in debug form, or is wrong with this code.
    pub(crate) fn check<L: Leaf<Value: Debug>>(text: &str, expected: &str) {
        let got = match L::read(text) {
            Ok(it) => format!("{it:?}"),
            Err(Wrong { code, .. }) => code.to_owned(),
        };
        assert_eq!(got, expected, "{} {text:?}", L::FORMAT);
    }
}
