//! The framework's own permissions, by category, and what of them the built-in roles have.

use std::collections::{BTreeMap, BTreeSet};

use super::Permission;
use crate::{permissions, user::Role};

permissions! {
    // users
    /// Create users in the tenant.
    pub CreateTenantUser = "create_tenant_user";
    /// Create users of every tenant.
    pub CreateAllUsers = "create_all_users";
    /// Read their own profile.
    pub ReadOwnProfile = "read_own_profile";
    /// Read the tenant's users.
    pub ReadTenantUsers = "read_tenant_users";
    /// Read users of every tenant.
    pub ReadAllUsers = "read_all_users";
    /// Change their own profile.
    pub UpdateOwnProfile = "update_own_profile";
    /// Change the tenant's users.
    pub UpdateTenantUsers = "update_tenant_users";
    /// Change users of every tenant.
    pub UpdateAllUsers = "update_all_users";
    /// Delete the tenant's users.
    pub DeleteTenantUsers = "delete_tenant_users";
    /// Delete users of every tenant.
    pub DeleteAllUsers = "delete_all_users";
    /// Change their own password.
    pub ChangeOwnPassword = "change_own_password";
    /// Change the password of one of the tenant's users.
    pub ChangeTenantUserPassword = "change_tenant_user_password";
    /// Change any user's password.
    pub ChangeUserPassword = "change_user_password";
    /// Change their own address.
    pub UpdateOwnEmail = "update_own_email";
    /// Change the address of one of the tenant's users.
    pub UpdateTenantUserEmail = "update_tenant_user_email";
    /// Change any user's address.
    pub UpdateUserEmail = "update_user_email";
    // sessions
    /// See their own sessions.
    pub ViewOwnSessions = "view_own_sessions";
    /// See the tenant's sessions.
    pub ViewTenantSessions = "view_tenant_sessions";
    /// See sessions of every tenant.
    pub ViewAllSessions = "view_all_sessions";
    /// End their own sessions.
    pub TerminateOwnSessions = "terminate_own_sessions";
    /// End the tenant's sessions.
    pub TerminateTenantSessions = "terminate_tenant_sessions";
    /// End sessions of every tenant.
    pub TerminateAllSessions = "terminate_all_sessions";
    // tenants
    /// Create a tenant.
    pub CreateTenant = "create_tenant";
    /// Read their own tenant.
    pub ReadOwnTenant = "read_own_tenant";
    /// Read every tenant.
    pub ReadAllTenants = "read_all_tenants";
    /// Change the tenant.
    pub UpdateTenant = "update_tenant";
    /// Manage a tenant's status.
    pub ManageTenantStatus = "manage_tenant_status";
    // feature flags
    /// Create feature flags.
    pub CreateFeatureFlag = "create_feature_flag";
    /// Read feature flags.
    pub ReadFeatureFlag = "read_feature_flag";
    /// Change feature flags.
    pub UpdateFeatureFlag = "update_feature_flag";
    /// Delete feature flags.
    pub DeleteFeatureFlag = "delete_feature_flag";
    // audit
    /// See the audit log.
    pub ViewAuditLog = "view_audit_log";
    // permissions
    /// See who may do what.
    pub ViewPermissions = "view_permissions";
    /// Manage who may do what.
    pub ManagePermissions = "manage_permissions";
    /// Assign permissions to roles and users.
    pub AssignPermissions = "assign_permissions";
    // files
    /// Upload files.
    pub UploadFile = "upload_file";
    /// Read files.
    pub ReadFile = "read_file";
    /// Delete files.
    pub DeleteFile = "delete_file";
}

const GUEST: &[&str] = &[
    ReadOwnProfile::NAME,
    ViewOwnSessions::NAME,
    TerminateOwnSessions::NAME,
    ReadOwnTenant::NAME,
    ReadFeatureFlag::NAME,
];
const MEMBER: &[&str] = &[
    ReadTenantUsers::NAME,
    UpdateOwnProfile::NAME,
    ChangeOwnPassword::NAME,
    UpdateOwnEmail::NAME,
    UploadFile::NAME,
    ReadFile::NAME,
];
const ADMIN: &[&str] = &[
    CreateTenantUser::NAME,
    UpdateTenantUsers::NAME,
    DeleteTenantUsers::NAME,
    ChangeTenantUserPassword::NAME,
    UpdateTenantUserEmail::NAME,
    ViewTenantSessions::NAME,
    TerminateTenantSessions::NAME,
    UpdateTenant::NAME,
    ViewAuditLog::NAME,
    ViewPermissions::NAME,
    DeleteFile::NAME,
];
const OWNER: &[&str] = &[
    CreateFeatureFlag::NAME,
    UpdateFeatureFlag::NAME,
    DeleteFeatureFlag::NAME,
    ManagePermissions::NAME,
    AssignPermissions::NAME,
];

/// Each role of the ladder has what the one below it has. `super_admin` may do everything and needs no list.
pub(super) fn built_in() -> BTreeMap<Role, BTreeSet<&'static str>> {
    let mut granted = BTreeSet::new();
    Role::LADDER
        .into_iter()
        .zip([GUEST, MEMBER, ADMIN, OWNER, &[]])
        .map(|(role, more)| {
            granted.extend(more);
            (role, granted.clone())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn roles_have_their_part_of_the_catalogue() {
        let granted = built_in();
        let sizes = Role::LADDER.map(|role| granted[&role].len());
        assert_eq!(sizes, [5, 11, 22, 27, 27]);
        assert!(granted[&Role::ADMIN].contains(CreateTenantUser::NAME));
        assert!(!granted[&Role::OWNER].contains(ReadAllTenants::NAME));
    }
}
