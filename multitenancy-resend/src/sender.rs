use multitenancy_core::{Error, Result, user::Email};

/// Parses a sender, `address` or `Name <address>`. The result is safe in a `From` header.
pub(crate) fn parse(text: &str) -> Result<String> {
    let text = text.trim();
    read(text).ok_or_else(|| {
        // Not the text itself: if the settings are swapped, it is the API key.
        Error::config("the sender of mail must be `address` or `Name <address>`, with an e-mail address")
    })
}

fn read(text: &str) -> Option<String> {
    let Some((name, address)) = text.strip_suffix('>').and_then(|text| text.rsplit_once('<')) else {
        return Some(text.parse::<Email>().ok()?.to_string());
    };
    let address: Email = address.parse().ok()?;
    let name = name.trim();
    let name = name.strip_prefix('"').and_then(|name| name.strip_suffix('"')).unwrap_or(name);
    let harmful = |char: char| char.is_control() || matches!(char, '<' | '>' | '"' | '\\');
    if name.is_empty() || name.contains(harmful) {
        return None;
    }
    if name.contains(['(', ')', '[', ']', ':', ';', '@', ',']) {
        return Some(format!("\"{name}\" <{address}>"));
    }
    Some(format!("{name} <{address}>"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sender_accepts_an_address_and_a_name() {
        for (text, expected) in [
            ("hello@example.com", "hello@example.com"),
            (" Acme <hello@example.com> ", "Acme <hello@example.com>"),
            ("Zoë Ltd. <hello@example.com>", "Zoë Ltd. <hello@example.com>"),
            ("\"Acme\" <hello@example.com>", "Acme <hello@example.com>"),
            ("Acme, Inc. <hello@example.com>", "\"Acme, Inc.\" <hello@example.com>"),
            ("\"Acme, Inc.\" <hello@example.com>", "\"Acme, Inc.\" <hello@example.com>"),
        ] {
            assert_eq!(parse(text).unwrap(), expected);
        }
    }

    #[test]
    fn sender_refuses_header_injection() {
        for wrong in [
            "",
            "Acme",
            "hello@",
            "<hello@example.com>",
            "Acme <hello@example.com",
            "Acme hello@example.com",
            "Acme <>",
            "Acme\r\nBcc: eve@example.com <hello@example.com>",
            "Acme <hello@example.com>\r\nBcc: eve@example.com",
            "Eve <eve@example.com>, Acme <hello@example.com>",
            "a@example.com,b@example.com",
            "Ac\"me <hello@example.com>",
            "Acme\\ <hello@example.com>",
        ] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}
