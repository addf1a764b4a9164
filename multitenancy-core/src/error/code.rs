//! The framework's error codes: one table, from which errors, HTTP problems and the OpenAPI document are made.

use super::ErrorKind;

/// A stable code, the class of error it belongs to, and its meaning.
///
/// [`Error::of`](super::Error::of) makes an error of one. Applications need no entry here for codes of their own:
/// [`Error::new`](super::Error::new) takes any.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Code {
    /// The name, for programs, such as `tenant_not_found`.
    pub name: &'static str,
    /// The class of error.
    pub kind: ErrorKind,
    /// One sentence, safe to answer with.
    pub meaning: &'static str,
}

macro_rules! codes {
    ($($constant:ident = $kind:ident $name:literal: $meaning:literal;)*) => {
        $(#[doc = concat!("`", $name, "`: ", $meaning, ".")]
        pub const $constant: Code = Code { name: $name, kind: ErrorKind::$kind, meaning: $meaning };)*

        /// Every code, by class. The first of a class is what the class means on its own.
        pub const ALL: &[Code] = &[$($constant),*];
    };
}

codes! {
    MALFORMED_REQUEST = Malformed "malformed_request": "the request cannot be read";
    MALFORMED_ID = Malformed "malformed_id": "this is not an identifier";
    MALFORMED_JSON = Malformed "malformed_json": "the body is not JSON";
    MALFORMED_SCOPE = Malformed "malformed_scope": "this is not a scope";
    TENANT_MALFORMED = Malformed "tenant_malformed": "this is not the id or the slug of an organization";
    TENANT_REQUIRED = Malformed "tenant_required": "the request names no organization";

    UNAUTHENTICATED = Unauthenticated "unauthenticated": "sign in first";
    INVALID_CREDENTIALS = Unauthenticated "invalid_credentials": "the address or the password is wrong";
    INVALID_TOKEN = Unauthenticated "invalid_token": "the access token is not valid, or no longer valid";
    INVALID_REFRESH_TOKEN = Unauthenticated "invalid_refresh_token":
        "the refresh token is not valid, or no longer valid";

    FORBIDDEN = Forbidden "forbidden": "this is not allowed";
    ACCOUNT_INACTIVE = Forbidden "account_inactive": "this account is not active";
    PERMISSION_DENIED = Forbidden "permission_denied": "your role does not allow this";
    REGISTRATION_CLOSED = Forbidden "registration_closed": "this organization does not allow self-registration";
    TENANT_INACTIVE = Forbidden "tenant_inactive": "this organization is not active";
    TENANT_MISMATCH = Forbidden "tenant_mismatch": "the parts of the request name different organizations";
    WRONG_SCOPE = Forbidden "wrong_scope": "this token belongs to the other realm";

    NOT_FOUND = NotFound "not_found": "not found";
    OWNER_NOT_FOUND = NotFound "owner_not_found": "the owner of this organization does not exist any more";
    TENANT_NOT_FOUND = NotFound "tenant_not_found": "this organization does not exist";
    USER_NOT_FOUND = NotFound "user_not_found": "this user does not exist";

    CONFLICT = Conflict "conflict": "this conflicts with the present state";
    DOMAIN_TAKEN = Conflict "domain_taken": "this domain belongs to another organization";
    EMAIL_TAKEN = Conflict "email_taken": "this address is already taken";
    INVALID_TRANSITION = Conflict "invalid_transition": "the status of the organization does not allow this";
    SLUG_TAKEN = Conflict "slug_taken": "this slug is already taken";

    VALIDATION_FAILED = Invalid "validation_failed": "some values were refused";

    OVERLOADED = Overloaded "overloaded": "too many requests at once: try again later";

    UNAVAILABLE = Unavailable "unavailable": "not available now: try again later";
    STORAGE_CLOSED = Unavailable "storage_closed": "the service is stopping";
    STORAGE_FULL = Unavailable "storage_full": "the storage is full";
    STORAGE_UNAVAILABLE = Unavailable "storage_unavailable": "the storage does not answer";
    TENANT_STORAGE_MISSING = Unavailable "tenant_storage_missing": "this organization has no storage";
    TENANT_UPGRADING = Unavailable "tenant_upgrading":
        "this organization is being upgraded to a new version: try again later";
    TENANTS_NOT_MIGRATED = Unavailable "tenants_not_migrated":
        "some organizations could not be upgraded to a new version";

    COMMIT_UNKNOWN = Unknown "commit_unknown": "the outcome is unknown: check before retrying";

    MISCONFIGURED = Config "misconfigured": "the deployment is misconfigured";

    INTERNAL_ERROR = Internal "internal_error": "something went wrong on our side";
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn codes_are_unique_and_grouped_by_class() {
        let names: BTreeSet<_> = ALL.iter().map(|code| code.name).collect();
        assert_eq!(names.len(), ALL.len());
        let mut classes: Vec<_> = ALL.iter().map(|code| code.kind).collect();
        classes.dedup();
        let distinct: BTreeSet<_> = classes.iter().map(|kind| format!("{kind:?}")).collect();
        assert_eq!(distinct.len(), classes.len(), "{classes:?}");
    }
}
