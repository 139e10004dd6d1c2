-- What the records of the log were judged by, in microseconds: other limits would judge them otherwise, and what is stored would not
-- follow from them any more.
CREATE TABLE core.limits (
    one boolean PRIMARY KEY DEFAULT true CHECK (one),
    grace bigint NOT NULL,
    settle bigint NOT NULL,
    future bigint NOT NULL
);
