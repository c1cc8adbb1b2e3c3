"""Fine-tuning with the Trainer and a loss of one's own."""
import numpy as np
import torch
from datasets import load_dataset
from torch import nn
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    EarlyStoppingCallback,
    Trainer,
    TrainingArguments,
)

raw = load_dataset("imdb")
tokenizer = AutoTokenizer.from_pretrained("distilbert-base-uncased")
tokenized = raw.map(lambda batch: tokenizer(batch["text"], truncation=True), batched=True)


class WeightedTrainer(Trainer):
    def __init__(self, *args, class_weights=None, **kwargs):
        super().__init__(*args, **kwargs)
        self.class_weights = class_weights

    def compute_loss(self, model, inputs, return_outputs=False, num_items_in_batch=None):
        labels = inputs.pop("labels")
        outputs = model(**inputs)
        logits = outputs.logits
        loss_fct = nn.CrossEntropyLoss(weight=self.class_weights.to(logits.device))
        loss = loss_fct(logits.view(-1, self.model.config.num_labels), labels.view(-1))
        return (loss, outputs) if return_outputs else loss


def compute_metrics(eval_pred):
    logits, labels = eval_pred
    predictions = np.argmax(logits, axis=-1)
    return {"accuracy": float((predictions == labels).mean())}


model = AutoModelForSequenceClassification.from_pretrained("distilbert-base-uncased", num_labels=2)
args = TrainingArguments(
    output_dir="out", learning_rate=2e-5, per_device_train_batch_size=16, num_train_epochs=3,
    weight_decay=0.01, eval_strategy="epoch", save_strategy="epoch", load_best_model_at_end=True, bf16=True,
)
trainer = WeightedTrainer(
    model=model, args=args, train_dataset=tokenized["train"], eval_dataset=tokenized["test"],
    data_collator=DataCollatorWithPadding(tokenizer), compute_metrics=compute_metrics,
    class_weights=torch.tensor([1.0, 2.0]), callbacks=[EarlyStoppingCallback(early_stopping_patience=2)],
)
trainer.train()
print(trainer.evaluate())
