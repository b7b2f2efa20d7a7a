-- A journal as the first version of the tables left it: one study, one delivery done, one waiting.
BEGIN TRANSACTION;
CREATE TABLE deliveries (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	destination VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	attempts INTEGER NOT NULL, 
	created_at FLOAT NOT NULL, 
	next_at FLOAT NOT NULL, 
	sent_at FLOAT, 
	status INTEGER, 
	message TEXT NOT NULL, 
	PRIMARY KEY (sop_instance_uid, destination), 
	FOREIGN KEY(sop_instance_uid) REFERENCES derived (sop_instance_uid), 
	FOREIGN KEY(study_instance_uid) REFERENCES studies (study_instance_uid)
);
INSERT INTO "deliveries" VALUES('1.2.9.0','pacs','1.2','SENT',1,1772445600.0,1772445600.0,1772445600.0,NULL,'');
INSERT INTO "deliveries" VALUES('1.2.9.1','pacs','1.2','WAITING',1,1772445600.0,1772445600.0,NULL,NULL,'');
CREATE TABLE derived (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	kind VARCHAR(64) NOT NULL, 
	derivation_key VARCHAR(64) NOT NULL, 
	path TEXT NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	created_at FLOAT NOT NULL, 
	version INTEGER NOT NULL, 
	purged_at FLOAT, 
	PRIMARY KEY (sop_instance_uid), 
	FOREIGN KEY(study_instance_uid) REFERENCES studies (study_instance_uid)
);
INSERT INTO "derived" VALUES('1.2.9.0','1.2','1.2.9','1.2.840.10008.5.1.4.1.1.20','reconstruction','key','1.2.9.0.dcm','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',1772445600.0,1,NULL);
INSERT INTO "derived" VALUES('1.2.9.1','1.2','1.2.9','1.2.840.10008.5.1.4.1.1.20','reconstruction','key','1.2.9.1.dcm','bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb',1772445600.0,1,NULL);
CREATE TABLE instances (
	sop_instance_uid VARCHAR(64) NOT NULL, 
	sha256 VARCHAR(64) NOT NULL, 
	kept BOOLEAN NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	series_instance_uid VARCHAR(64) NOT NULL, 
	sop_class_uid VARCHAR(64) NOT NULL, 
	transfer_syntax_uid VARCHAR(64) NOT NULL, 
	content VARCHAR(32) NOT NULL, 
	flaw TEXT, 
	attributes JSON NOT NULL, 
	path TEXT NOT NULL, 
	size_bytes INTEGER NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	received_at FLOAT NOT NULL, 
	version INTEGER NOT NULL, 
	purged_at FLOAT, 
	PRIMARY KEY (sop_instance_uid, sha256), 
	FOREIGN KEY(study_instance_uid) REFERENCES studies (study_instance_uid), 
	UNIQUE (path)
);
INSERT INTO "instances" VALUES('1.2.3','aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa',1,'1.2','1.2.1','1.2.840.10008.5.1.4.1.1.20','1.2.840.10008.1.2.1','PROJECTIONS',NULL,'{"Modality": ["NM"]}','1.2.3.dcm',1000,'SPECT1',1772445600.0,1,NULL);
CREATE TABLE moves (
	id INTEGER NOT NULL, 
	study_instance_uid VARCHAR(64) NOT NULL, 
	version INTEGER NOT NULL, 
	at FLOAT NOT NULL, 
	event VARCHAR(20) NOT NULL, 
	from_state VARCHAR(16), 
	to_state VARCHAR(16) NOT NULL, 
	reason TEXT NOT NULL, 
	actor VARCHAR(64) NOT NULL, 
	PRIMARY KEY (id), 
	FOREIGN KEY(study_instance_uid) REFERENCES studies (study_instance_uid)
);
INSERT INTO "moves" VALUES(1,'1.2',1,1772445600.0,'FIRST_INSTANCE',NULL,'RECEIVING','first instance from SPECT1','node');
CREATE TABLE studies (
	study_instance_uid VARCHAR(64) NOT NULL, 
	state VARCHAR(16) NOT NULL, 
	version INTEGER NOT NULL, 
	reason TEXT NOT NULL, 
	calling_ae_title VARCHAR(16) NOT NULL, 
	created_at FLOAT NOT NULL, 
	updated_at FLOAT NOT NULL, 
	last_instance_at FLOAT NOT NULL, 
	next_at FLOAT, 
	attempts INTEGER NOT NULL, 
	claim VARCHAR(32), 
	lease_until FLOAT, 
	rule TEXT, 
	pipeline VARCHAR(64), 
	options JSON NOT NULL, 
	destinations JSON NOT NULL, 
	sources JSON NOT NULL, 
	priority INTEGER NOT NULL, 
	PRIMARY KEY (study_instance_uid)
);
INSERT INTO "studies" VALUES('1.2','DELIVERING',1,'2 derived instances','SPECT1',1772445600.0,1772445600.0,1772445600.0,NULL,1,NULL,NULL,'all','reconstruction','{}','["pacs"]','["1.2.3"]',0);
CREATE INDEX studies_by_state ON studies (state, next_at);
CREATE INDEX instances_by_study ON instances (study_instance_uid);
CREATE INDEX moves_by_study ON moves (study_instance_uid);
CREATE INDEX derived_by_key ON derived (derivation_key);
CREATE INDEX derived_by_study ON derived (study_instance_uid);
CREATE INDEX deliveries_due ON deliveries (destination, state, next_at);
CREATE INDEX deliveries_by_study ON deliveries (study_instance_uid);
COMMIT;
