//! Server versions with trustworthy row-level security (S21): fixes of CVE-2024-10976, CVE-2025-8713 and earlier
//! ones.

use super::Fault;

/// The first fixed release of each major version. Newer major versions have the fixes from the start.
const FIXED: [(u32, u32); 4] = [(14, 19), (15, 14), (16, 10), (17, 6)];

/// The fault of a server with this `server_version_num`, if it has one: 150014 is 15.14.
pub(super) fn fault(version: Option<u32>, database: &str) -> Option<Fault> {
    let (major, minor) = version.map_or((0, 0), |version| (version / 10_000, version % 10_000));
    let newest_fixed = FIXED.iter().map(|(major, _)| *major).max();
    if Some(major) > newest_fixed || FIXED.iter().any(|(line, first)| *line == major && minor >= *first) {
        return None;
    }
    Some(Fault {
        rule: "s21_server_version".into(),
        database: database.to_owned(),
        object: format!("PostgreSQL {major}.{minor}"),
        what: "lacks fixes of row-level security: upgrade to 17.6, 16.10, 15.14, 14.19 or newer".into(),
        fix: None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn s21_servers_without_the_fixes_are_refused() {
        for old in [170_005, 160_009, 150_013, 140_018, 130_099, 90_624, 0] {
            assert!(fault(Some(old), "app").is_some(), "{old}");
        }
        for fixed in [170_006, 170_010, 160_010, 150_014, 150_020, 140_019, 180_000, 190_001] {
            assert_eq!(fault(Some(fixed), "app"), None, "{fixed}");
        }
        assert_eq!(fault(Some(150_013), "app").unwrap().object, "PostgreSQL 15.13");
        assert!(fault(None, "app").is_some());
    }
}
