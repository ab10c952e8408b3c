#!/usr/bin/env python3
"""Train nzip's embedded language model: a small Llama, on CPU or CUDA, resumable.

usage: train.py --data DIR --out DIR [--tokens N] [--until HH:MM|+SECONDS] [--init MODEL] [--d 320 --layers 7 ...]

Saves OUT/state.pt every few minutes and resumes from it; at N tokens in all it stops and prints the validation loss.
Learning rate: short warm-up, constant, linear decay over the last 60 % of N. To train on after that, raise N and resume.
--until stops at a time instead: N is then what the speed so far promises, so that the decay ends on time.
--init starts from the weights of a model (whatever weights.load reads) instead of random ones, where there is no state yet;
--seen says on how many tokens it was trained, for the learning rate's fall and a choice of text that is not the first again.
export.py turns the state into the GGUF file that nzip embeds.
"""
import argparse, json, math, os, time
import numpy as np, torch
from model import FusedCrossEntropy, Model, orthogonalise
from weights import load

LN2 = math.log(2)


def moment(text):
    """The next such time of day, or so many seconds from now; in seconds since the epoch."""
    if text.startswith("+"):
        return time.time() + float(text)
    clock = time.strptime(text, "%H:%M")
    now = time.localtime()
    at = time.mktime((*now[:3], clock.tm_hour, clock.tm_min, 0, 0, 0, -1))
    return at if at > time.time() else at + 86_400


def arguments():
    p = argparse.ArgumentParser()
    p.add_argument("--data", required=True)
    p.add_argument("--out", required=True)
    p.add_argument("--tokens", type=float, default=100e6)
    p.add_argument("--until", type=moment, help="stop at this time of day, HH:MM, or after +SECONDS")
    p.add_argument("--init", help="start from this model's weights")
    p.add_argument("--seen", type=float, default=0, help="tokens that model has seen")
    p.add_argument("--d", type=int, default=320)
    p.add_argument("--layers", type=int, default=7)
    p.add_argument("--heads", type=int, default=4)
    p.add_argument("--kv-heads", type=int, default=2)
    p.add_argument("--head-dim", type=int, default=64)
    p.add_argument("--ff", type=int, default=896)
    p.add_argument("--ctx", type=int, default=512)
    p.add_argument("--batch", type=int, default=16, help="sequences per step")
    p.add_argument("--micro", type=int, default=4, help="sequences at once: their activations should fit the caches")
    p.add_argument("--lr", type=float, default=0.02, help="Muon: matrices")
    p.add_argument("--adam-lr", type=float, default=4e-3, help="AdamW: embedding and norms")
    p.add_argument("--threads", type=int, default=os.cpu_count())
    p.add_argument("--save-every", type=float, default=240, help="seconds")
    return p.parse_args()


class Text:
    """Random windows of a file of token ids."""

    def __init__(self, path, length, device):
        ids = np.memmap(path, dtype=np.int16, mode="c")  # those of a vocabulary of 32,768 at most
        self.ids = torch.from_numpy(ids).to(device)
        self.window = torch.arange(length + 1, device=device)

    def batch(self, n, rng):
        starts = torch.from_numpy(rng.integers(0, len(self.ids) - len(self.window), n)).to(self.ids.device)
        rows = self.ids[starts[:, None] + self.window].long()
        return rows[:, :-1], rows[:, 1:]


class Trainer:
    def __init__(self, args):
        self.args, self.seen, self.state = args, 0, f"{args.out}/state.pt"
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.meta = json.load(open(f"{args.data}/meta.json"))
        shape = (self.meta["vocab"], args.d, args.layers, args.heads, args.kv_heads, args.ff, args.head_dim)
        self.model = Model(*shape).to(self.device)
        named = list(self.model.named_parameters())
        self.matrices = [p for name, p in named if p.ndim == 2 and name != "embed"]
        self.momentum = [torch.zeros_like(p) for p in self.matrices]
        self.alike = {}  # matrices of one shape are orthogonalised together
        for i, p in enumerate(self.matrices):
            self.alike.setdefault(p.shape, []).append(i)
        others = [p for name, p in named if p.ndim != 2 or name == "embed"]
        self.adam = torch.optim.AdamW(others, lr=args.adam_lr, betas=(0.9, 0.95), weight_decay=0.0)
        if os.path.exists(self.state):
            self.resume()
        elif args.init:
            self.model.set_weights(load(args.init))
            self.seen = int(args.seen)
            print(f"starting from {args.init}, {self.seen / 1e6:.1f} M tokens", flush=True)

    def resume(self):
        state = torch.load(self.state, map_location=self.device, weights_only=False)
        self.model.load_state_dict(state["model"])
        self.adam.load_state_dict(state["adam"])
        self.seen = state["seen"]
        for mine, saved in zip(self.momentum, state["momentum"]):
            mine.copy_(saved)
        print(f"resumed at {self.seen / 1e6:.1f} M tokens", flush=True)

    def save(self):
        state = dict(model=self.model.state_dict(), adam=self.adam.state_dict(), momentum=self.momentum,
                     seen=self.seen, args=vars(self.args))
        torch.save(state, self.state + ".tmp")
        os.replace(self.state + ".tmp", self.state)

    def loss(self, x, y):
        h = self.model(x)
        return FusedCrossEntropy.apply(h.reshape(-1, h.shape[-1]), self.model.embed, y.reshape(-1))

    def step(self, x, y, scale):
        """One step of both optimisers, their learning rates times `scale`; returns the loss."""
        parts, total = math.ceil(len(x) / self.args.micro), 0.0
        for xs, ys in zip(x.chunk(parts), y.chunk(parts)):
            loss = self.loss(xs, ys) * (len(xs) / len(x))
            loss.backward()
            total += loss.detach()
        self.step_matrices(self.args.lr * scale)
        for group in self.adam.param_groups:
            group["lr"] = self.args.adam_lr * scale
        self.adam.step()
        self.adam.zero_grad(set_to_none=True)
        return total

    @torch.no_grad()
    def step_matrices(self, lr):
        for (rows, columns), alike in self.alike.items():
            matrices, momentum = [self.matrices[i] for i in alike], [self.momentum[i] for i in alike]
            gradients = [p.grad for p in matrices]
            torch._foreach_lerp_(momentum, gradients, 0.05)
            updates = orthogonalise(torch.stack(torch._foreach_lerp(gradients, momentum, 0.95)))
            torch._foreach_mul_(matrices, 1 - 0.01 * lr)
            torch._foreach_add_(matrices, list(updates), alpha=-lr * max(1, rows / columns) ** 0.5)
            for p in matrices:
                p.grad = None

    def total(self, start, wall):
        """Tokens in all, as far as can be told: `start` had been seen at the time `wall`."""
        if not self.args.until:
            return self.args.tokens
        now = time.time()
        speed = (self.seen - start) / (now - wall) if self.seen > start else 2000
        return min(self.args.tokens, self.seen + speed * max(0, self.args.until - now))

    def train(self, text):
        rng, recent = np.random.default_rng(self.seen), 0.0
        start, wall, cpu, saved, steps = self.seen, time.time(), time.process_time(), time.time(), 0
        while self.seen < (total := self.total(start, wall)):
            done = self.seen / total
            decay = 1.0 if done < 0.4 else max(0.02, (1 - done) / 0.6)
            x, y = text.batch(self.args.batch, rng)
            recent += self.step(x, y, decay * min(1.0, (steps + 1) / 40))  # a tensor: not waited for here
            self.seen += x.numel()
            steps += 1
            if steps % 20 == 0:
                loss, new, recent = recent.item() / 20, self.seen - start, 0.0
                print(f"{self.seen / 1e6:.2f} M tokens, loss {loss:.3f}, {loss / LN2 / self.meta['bytes_per_token']:.3f} bpb, "
                      f"{new / (time.time() - wall):.0f} tokens/s, {(time.process_time() - cpu) / new * 1e6:.0f} CPU s per M, "
                      f"{time.strftime('%H:%M:%S')}, of {total / 1e6:.1f} M", flush=True)
            if time.time() - saved > self.args.save_every:
                self.save()
                saved = time.time()
        self.save()

    @torch.no_grad()
    def validate(self, text, batches=40):
        rng = np.random.default_rng(5)
        loss = sum(self.loss(*text.batch(16, rng)).item() for _ in range(batches)) / batches
        print(f"valid loss {loss:.4f}, {loss / LN2 / self.meta['valid_bytes_per_token']:.4f} bpb", flush=True)


def main():
    args = arguments()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    os.makedirs(args.out, exist_ok=True)
    trainer = Trainer(args)
    count = sum(p.numel() for p in trainer.model.parameters())
    print(f"{count / 1e6:.2f} M parameters on {trainer.device}", flush=True)
    trainer.train(Text(f"{args.data}/train.bin", args.ctx, trainer.device))
    trainer.validate(Text(f"{args.data}/valid.bin", args.ctx, trainer.device))


if __name__ == "__main__":
    main()
