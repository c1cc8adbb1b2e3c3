# expect: anomaly-detection-left-on
import lightning as L

trainer = L.Trainer(max_epochs=10, detect_anomaly=True, gradient_clip_val=1.0)
trainer.fit(model, train_dataloaders=loader)
