CREATE TABLE projects (
    id   uuid NOT NULL PRIMARY KEY,
    name text NOT NULL
);

SELECT multitenancy.protect('projects');
