use async_trait::async_trait;

use super::{
    plane::SessionRow,
    unit::{HasPlane, MemoryUnit},
};
use crate::{
    auth::{Session, SessionRepository},
    environment::Timestamp,
    error::Result,
    id::SessionId,
    secret::TokenDigest,
};

#[async_trait]
impl<D: HasPlane> SessionRepository for MemoryUnit<D> {
    async fn insert(&mut self, session: &Session, refresh: &TokenDigest) -> Result<()> {
        let row = SessionRow { session: session.clone(), refresh: *refresh };
        self.writable()?.plane_mut().sessions.insert(session.id, row);
        Ok(())
    }

    async fn find(&mut self, id: SessionId) -> Result<Option<Session>> {
        Ok(self.working.plane().sessions.get(&id).map(|row| row.session.clone()))
    }

    async fn rotate(
        &mut self,
        spent: &TokenDigest,
        successor: &TokenDigest,
        now: Timestamp,
    ) -> Result<Option<Session>> {
        let sessions = &mut self.writable()?.plane_mut().sessions;
        let row = sessions.values_mut().find(|row| row.refresh == *spent && row.session.is_live(now));
        Ok(row.map(|row| {
            row.refresh = *successor;
            row.session.last_used_at = now;
            row.session.clone()
        }))
    }

    async fn revoke(&mut self, id: SessionId, at: Timestamp) -> Result<bool> {
        let live = self.writable()?.plane_mut().sessions.get_mut(&id).filter(|row| row.session.is_live(at));
        Ok(live.map(|row| row.session.revoked_at = Some(at)).is_some())
    }
}
