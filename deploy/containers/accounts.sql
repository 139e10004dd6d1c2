SET log_min_error_statement = panic;
\getenv password INGEST_PASSWORD
CREATE ROLE sparktrends_ingest LOGIN PASSWORD :'password';
\getenv password STREAM_PASSWORD
CREATE ROLE sparktrends_stream LOGIN PASSWORD :'password';
\getenv password ALERTS_PASSWORD
CREATE ROLE sparktrends_alerts LOGIN PASSWORD :'password';
\getenv password API_PASSWORD
CREATE ROLE sparktrends_api LOGIN PASSWORD :'password';
\getenv password DASHBOARD_PASSWORD
CREATE ROLE sparktrends_dashboard LOGIN PASSWORD :'password';
\getenv password BATCH_PASSWORD
CREATE ROLE sparktrends_batch LOGIN PASSWORD :'password';
\getenv password AUDIT_PASSWORD
CREATE ROLE sparktrends_audit LOGIN PASSWORD :'password';
