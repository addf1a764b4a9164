-- Creates the database of a deployment and its two roles. Run it once, as a superuser. Choose other passwords in production.
DO $$ BEGIN CREATE ROLE multitenancy_app; EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; END $$;
CREATE ROLE app_admin LOGIN PASSWORD 'secret' CREATEDB CREATEROLE BYPASSRLS IN ROLE pg_signal_backend;
CREATE ROLE app LOGIN PASSWORD 'secret' IN ROLE multitenancy_app;
CREATE DATABASE app OWNER app_admin;
