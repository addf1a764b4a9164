use async_trait::async_trait;
use multitenancy_core::{
    Result, Timestamp, User, UserId,
    auth::PasswordHash,
    user::{Email, UserRepository, email_taken},
};
use uuid::Uuid;

use super::{
    Unit,
    codec::{Stored, instant, stored},
    engine::for_update,
    from_json, store_error, to_json,
};

#[derive(sqlx::FromRow)]
struct Row {
    id: Uuid,
    email: String,
    profile: String,
    roles: String,
    is_owner: bool,
    is_active: bool,
    email_verified: bool,
    platform_user_id: Option<Uuid>,
    last_login_at: Option<Stored>,
    created_at: Stored,
    updated_at: Stored,
}

impl TryFrom<Row> for User {
    type Error = multitenancy_core::Error;

    fn try_from(row: Row) -> Result<Self> {
        Ok(Self {
            id: UserId::from_uuid(row.id),
            email: Email::from_stored(row.email),
            profile: from_json(&row.profile)?,
            roles: from_json(&row.roles)?,
            is_owner: row.is_owner,
            is_active: row.is_active,
            email_verified: row.email_verified,
            platform_user_id: row.platform_user_id.map(UserId::from_uuid),
            last_login_at: row.last_login_at.map(instant).transpose()?,
            created_at: instant(row.created_at)?,
            updated_at: instant(row.updated_at)?,
        })
    }
}

macro_rules! select {
    ($condition:literal) => {
        concat!(
            "SELECT id, email, profile, roles, is_owner, is_active, email_verified, platform_user_id, ",
            "last_login_at, created_at, updated_at FROM multitenancy_users WHERE tenant_id = $1 AND ",
            $condition
        )
    };
}

#[async_trait]
impl UserRepository for Unit {
    async fn insert(&mut self, user: &User, password: Option<&PasswordHash>) -> Result<()> {
        let query = sqlx::query(
            "INSERT INTO multitenancy_users (tenant_id, id, email, email_key, password_hash, profile, roles, is_owner, \
             is_active, email_verified, platform_user_id, last_login_at, created_at, updated_at) \
             VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14) \
             ON CONFLICT (tenant_id, email_key) DO NOTHING",
        )
        .bind(self.scope())
        .bind(user.id.as_uuid())
        .bind(user.email.as_str())
        .bind(user.email.key())
        .bind(password.map(PasswordHash::expose))
        .bind(to_json(&user.profile)?)
        .bind(to_json(&user.roles)?)
        .bind(user.is_owner)
        .bind(user.is_active)
        .bind(user.email_verified)
        .bind(user.platform_user_id.map(|id| id.as_uuid()))
        .bind(user.last_login_at.map(stored))
        .bind(stored(user.created_at))
        .bind(stored(user.updated_at));
        if self.affected_one(query).await? { Ok(()) } else { Err(email_taken()) }
    }

    async fn find(&mut self, id: UserId) -> Result<Option<User>> {
        let query = sqlx::query_as::<_, Row>(select!("id = $2")).bind(self.scope()).bind(id.as_uuid());
        self.fetch_one_as(query).await
    }

    async fn find_by_email(&mut self, email: &Email) -> Result<Option<User>> {
        let query = sqlx::query_as::<_, Row>(select!("email_key = $2")).bind(self.scope()).bind(email.key());
        self.fetch_one_as(query).await
    }

    async fn find_by_platform_user(&mut self, platform_user: UserId) -> Result<Option<User>> {
        let query = sqlx::query_as::<_, Row>(select!("platform_user_id = $2"))
            .bind(self.scope())
            .bind(platform_user.as_uuid());
        self.fetch_one_as(query).await
    }

    async fn find_for_update(&mut self, id: UserId) -> Result<Option<User>> {
        let query = sqlx::query_as::<_, Row>(concat!(select!("id = $2"), for_update!()));
        let query = query.bind(self.scope()).bind(id.as_uuid());
        self.write_one_as(query).await
    }

    async fn update(&mut self, user: &User) -> Result<bool> {
        let query = sqlx::query(
            "UPDATE multitenancy_users SET profile = $3, roles = $4, is_owner = $5, is_active = $6, \
             email_verified = $7, platform_user_id = $8, last_login_at = $9, updated_at = $10 \
             WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.scope())
        .bind(user.id.as_uuid())
        .bind(to_json(&user.profile)?)
        .bind(to_json(&user.roles)?)
        .bind(user.is_owner)
        .bind(user.is_active)
        .bind(user.email_verified)
        .bind(user.platform_user_id.map(|id| id.as_uuid()))
        .bind(user.last_login_at.map(stored))
        .bind(stored(user.updated_at));
        self.affected_one(query).await
    }

    async fn password_hash(&mut self, id: UserId) -> Result<Option<PasswordHash>> {
        let query = sqlx::query_scalar::<_, Option<String>>(
            "SELECT password_hash FROM multitenancy_users WHERE tenant_id = $1 AND id = $2",
        )
        .bind(self.scope())
        .bind(id.as_uuid());
        let hash = query.fetch_optional(self.connection()?).await.map_err(store_error)?;
        hash.flatten().map(|text| text.parse()).transpose()
    }

    async fn set_password_hash(&mut self, id: UserId, password: &PasswordHash) -> Result<bool> {
        let sql = "UPDATE multitenancy_users SET password_hash = $3 WHERE tenant_id = $1 AND id = $2";
        let query = sqlx::query(sql).bind(self.scope()).bind(id.as_uuid()).bind(password.expose());
        self.affected_one(query).await
    }

    async fn record_login(&mut self, id: UserId, at: Timestamp) -> Result<bool> {
        let sql = "UPDATE multitenancy_users SET last_login_at = $3 WHERE tenant_id = $1 AND id = $2";
        let query = sqlx::query(sql).bind(self.scope()).bind(id.as_uuid()).bind(stored(at));
        self.affected_one(query).await
    }
}
