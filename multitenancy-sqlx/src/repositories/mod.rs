//! The repositories: the SQL statements of each noun, implemented on the unit of work. Compiled once per engine
//! (decision 16).

use multitenancy_core::{
    Error, Result,
    page::{Page, PageRequest},
};
use sqlx::{
    Database, FromRow,
    query::{Query, QueryAs},
};

use super::{
    codec,
    engine::{self, Arguments, Db},
    error::store_error,
    unit::Unit,
};

mod audit;
mod consumed;
mod membership;
mod outbox;
mod session;
mod tenant;
mod user;

/// A row with the types of its columns.
trait Row: for<'r> FromRow<'r, <Db as Database>::Row> + Send + Unpin {}

impl<R: for<'r> FromRow<'r, <Db as Database>::Row> + Send + Unpin> Row for R {}

type Rows<'q, R> = QueryAs<'q, Db, R, Arguments>;

/// A repository method is a statement, its bound values, and one of these methods.
impl Unit {
    /// The row, if there is one, as the noun it holds.
    async fn fetch_one_as<R: Row, T: TryFrom<R, Error = Error>>(
        &mut self,
        query: Rows<'_, R>,
    ) -> Result<Option<T>> {
        let row = query.fetch_optional(self.connection()?).await.map_err(store_error)?;
        row.map(T::try_from).transpose()
    }

    /// The same, for a statement that changes or locks the row.
    async fn write_one_as<R: Row, T: TryFrom<R, Error = Error>>(
        &mut self,
        query: Rows<'_, R>,
    ) -> Result<Option<T>> {
        let row = query.fetch_optional(self.writable()?).await.map_err(store_error)?;
        row.map(T::try_from).transpose()
    }

    /// The page from a statement that selects one row more than the page holds.
    async fn fetch_page_as<R: Row, T: TryFrom<R, Error = Error>, K>(
        &mut self,
        query: Rows<'_, R>,
        page: &PageRequest<K>,
        key: impl Fn(&T) -> K,
    ) -> Result<Page<T, K>> {
        let rows = query.fetch_all(self.connection()?).await.map_err(store_error)?;
        let items = rows.into_iter().map(T::try_from).collect::<Result<_>>()?;
        Ok(Page::from_overfull(items, page, key))
    }

    /// Runs a statement that writes.
    async fn execute(&mut self, query: Query<'_, Db, Arguments>) -> Result<()> {
        query.execute(self.writable()?).await.map(drop).map_err(store_error)
    }

    /// Whether a statement that writes changed a row.
    async fn affected_one(&mut self, query: Query<'_, Db, Arguments>) -> Result<bool> {
        let done = query.execute(self.writable()?).await.map_err(store_error)?;
        Ok(done.rows_affected() == 1)
    }
}

/// The number of rows to select, for [`Unit::fetch_page_as`].
fn limit<K>(page: &PageRequest<K>) -> i64 {
    i64::from(page.size()) + 1
}

fn to_json(value: &impl serde::Serialize) -> Result<String> {
    serde_json::to_string(value).map_err(Error::internal)
}

fn from_json<T: serde::de::DeserializeOwned>(text: &str) -> Result<T> {
    serde_json::from_str(text).map_err(Error::internal)
}
