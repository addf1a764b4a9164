use std::collections::{BTreeMap, BTreeSet};

use super::{Permission, catalogue};
use crate::{
    error::{Error, Result, code},
    user::Role,
};

/// Which role may do what. Explicit: what is not granted is refused, and so is everything of a role that is
/// unknown.
#[derive(Debug, Clone)]
pub struct Grants {
    by_role: BTreeMap<Role, BTreeSet<&'static str>>,
}

impl Grants {
    /// The built-in roles with their part of the catalogue, to grant the application's own permissions on top.
    pub fn builder() -> GrantsBuilder {
        GrantsBuilder { grants: Self { by_role: catalogue::built_in() }, unknown: None }
    }

    /// Whether one of `roles` may do `permission`.
    pub fn allows(&self, roles: &[Role], permission: &str) -> bool {
        roles.iter().any(|role| {
            *role == Role::SUPER_ADMIN
                || self.by_role.get(role).is_some_and(|granted| granted.contains(permission))
        })
    }

    /// Refuses roles that may not do `P`: 403 `permission_denied`.
    pub fn require<P: Permission>(&self, roles: &[Role]) -> Result<()> {
        if self.allows(roles, P::NAME) {
            return Ok(());
        }
        Err(Error::of(code::PERMISSION_DENIED).with_context("permission", P::NAME))
    }

    /// What `role` may do, in order; all it may is not listed for `super_admin`, which may do everything.
    pub fn of(&self, role: &Role) -> impl Iterator<Item = &'static str> {
        self.by_role.get(role).into_iter().flatten().copied()
    }
}

impl Default for Grants {
    fn default() -> Self {
        Self { by_role: catalogue::built_in() }
    }
}

/// Grants permissions to roles.
#[derive(Debug)]
pub struct GrantsBuilder {
    grants: Grants,
    unknown: Option<Role>,
}

impl GrantsBuilder {
    /// Grants `P` to a built-in role and to the built-in roles above it.
    #[must_use]
    pub fn grant<P: Permission>(mut self, role: &Role) -> Self {
        match role.level() {
            Some(level) => {
                for role in &Role::LADDER[level..] {
                    self.grants.by_role.entry(role.clone()).or_default().insert(P::NAME);
                }
            }
            None => self.unknown = Some(role.clone()),
        }
        self
    }

    /// The finished grants. A role that does not exist is an error.
    pub fn build(self) -> Result<Grants> {
        match self.unknown {
            None => Ok(self.grants),
            Some(role) => Err(Error::config(format!("a permission is granted to the unknown role {role}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    crate::permissions! {
        WriteProjects = "write_projects";
    }

    #[test]
    fn a_grant_reaches_the_role_and_those_above_it() {
        let grants = Grants::builder().grant::<WriteProjects>(&Role::MEMBER).build().unwrap();
        let may = |role: Role| grants.allows(&[role], WriteProjects::NAME);
        assert!(!may(Role::GUEST) && may(Role::MEMBER) && may(Role::ADMIN) && may(Role::OWNER));
        assert!(!may("stranger".parse().unwrap()), "an unknown role may nothing");
        assert!(!grants.allows(&[], WriteProjects::NAME));
        let denied = grants.require::<WriteProjects>(&[Role::GUEST]).unwrap_err();
        assert_eq!(denied.code(), "permission_denied");
        let unknown = Grants::builder().grant::<WriteProjects>(&"stranger".parse().unwrap()).build();
        assert!(unknown.is_err());
    }
}
